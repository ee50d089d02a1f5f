package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

const rabbitScripts = "/usr/lib/rabbitmq/bin"

// RabbitMQ is a private broker node with an Erlang port mapper of its own, so that nodes of other labs and of the
// machine are not seen. Stop and Start keep durable queues.
type RabbitMQ struct {
	*Service
	// TransportURL is the broker's address as oslo.messaging writes it, and an AMQP URI once rabbit:// is amqp://.
	TransportURL string

	system       system
	port, mapper int
	env          []string
}

// StartRabbitMQ starts the lab's broker and returns once it takes connections.
func (l *Lab) StartRabbitMQ() (*RabbitMQ, error) {
	broker, err := l.prepareRabbitMQ()
	if err != nil {
		return nil, err
	}
	return broker, broker.launch(l)
}

// prepareRabbitMQ settles everything that other services need to know about the broker.
func (l *Lab) prepareRabbitMQ() (*RabbitMQ, error) {
	if err := l.system.need("broker", rabbitScripts+"/rabbitmq-server"); err != nil {
		return nil, err
	}
	dir, err := l.folder("rabbitmq")
	if err != nil {
		return nil, err
	}
	numbers, err := l.ports.reserve(3)
	if err != nil {
		return nil, err
	}
	port, mapper, distribution := numbers[0], numbers[1], numbers[2]
	files := map[string]string{
		"rabbitmq.conf":   "default_user = ironmaster\ndefault_pass = lab\n",
		"enabled_plugins": "[].\n",
		"env.conf":        "",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return nil, fmt.Errorf("configuring RabbitMQ: %w", err)
		}
	}
	l.RabbitMQ = &RabbitMQ{
		TransportURL: fmt.Sprintf("rabbit://ironmaster:lab@%s/", loopback(port)),
		system:       l.system,
		port:         port,
		mapper:       mapper,
		env: cleanEnv(dir,
			"ERL_EPMD_ADDRESS=127.0.0.1",
			"ERL_EPMD_PORT="+strconv.Itoa(mapper),
			"RABBITMQ_NODENAME=lab@localhost",
			"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
			"RABBITMQ_NODE_PORT="+strconv.Itoa(port),
			"RABBITMQ_DIST_PORT="+strconv.Itoa(distribution),
			"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"),
			"RABBITMQ_LOG_BASE="+filepath.Join(dir, "logs"),
			"RABBITMQ_LOGS=-",
			"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
			"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "enabled_plugins"),
			"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "env.conf"),
			// The start script becomes the Erlang machine instead of waiting for it.
			"RABBITMQ_ALLOW_INPUT=1",
			// No busy waiting: the schedulers share the processors with the tests.
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-noinput -kernel inet_dist_use_interface {127,0,0,1} "+
				"+sbwt none +sbwtdcpu none +sbwtdio none",
		),
	}
	return l.RabbitMQ, nil
}

func (b *RabbitMQ) launch(l *Lab) error {
	if _, err := l.StartService(b.system.run(Command{
		Name: "epmd", Path: "/usr/bin/epmd", Env: b.env,
		Args:  []string{"-address", "127.0.0.1", "-port", strconv.Itoa(b.mapper)},
		Ready: listens(b.mapper),
	})); err != nil {
		return err
	}
	var err error
	b.Service, err = l.StartService(b.system.run(Command{
		Name: "rabbitmq", Path: rabbitScripts + "/rabbitmq-server", Env: b.env,
		Ready: func(ctx context.Context) error {
			if err := listens(b.port)(ctx); err != nil {
				return err
			}
			connection, err := amqp.Dial(strings.Replace(b.TransportURL, "rabbit", "amqp", 1))
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}))
	return err
}

// Ctl runs rabbitmqctl against this node and returns what it printed. It takes a second or more.
func (b *RabbitMQ) Ctl(ctx context.Context, args ...string) (string, error) {
	command := b.system.run(Command{
		Path: rabbitScripts + "/rabbitmqctl", Args: append([]string{"--quiet"}, args...), Env: b.env})
	cmd := exec.CommandContext(ctx, command.Path, command.Args...)
	cmd.Env = command.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rabbitmqctl %v: %w: %s", args, err, lastLines(out, 10))
	}
	return string(out), nil
}
