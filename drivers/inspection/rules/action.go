package rules

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// action is one of the things that can be done with a node.
type action struct {
	signature
	do func(ctx context.Context, r *run, args store.Dict) error
}

// namedAction is an action with its name in rules.
type namedAction struct {
	name string
	action
}

// actions are all that there are, in ironic's order, which its failure tells.
var actions = []namedAction{
	{"fail", action{signature{"FailAction.__call__", []string{"msg"}, nil, nil}, fail}},
	{"log", action{signature{"LogAction.__call__", []string{"msg"}, []string{"level"}, []string{"msg"}}, log}},
	{"set-attribute", action{signature{"SetAttributeAction.__call__", []string{"path", "value"}, nil, []string{"value"}}, setAttribute}},
	{"extend-attribute", action{signature{"ExtendAttributeAction.__call__", []string{"path", "value"}, []string{"unique"},
		[]string{"value"}}, extendAttribute}},
	{"del-attribute", action{signature{"DelAttributeAction.__call__", []string{"path"}, nil, nil}, deleteAttribute}},
	{"set-capability", action{signature{"SetCapabilityAction.__call__", []string{"name", "value"}, nil, []string{"value"}}, setCapability}},
	{"unset-capability", action{signature{"UnsetCapabilityAction.__call__", []string{"name"}, nil, nil}, unsetCapability}},
	{"add-trait", action{signature{"AddTraitAction.__call__", []string{"name"}, nil, nil}, addTrait}},
	{"remove-trait", action{signature{"RemoveTraitAction.__call__", []string{"name"}, nil, nil}, removeTrait}},
	{"set-plugin-data", action{signature{"SetPluginDataAction.__call__", []string{"path", "value"}, nil, []string{"value"}}, setPluginData}},
	{"extend-plugin-data", action{signature{"ExtendPluginDataAction.__call__", []string{"path", "value"}, []string{"unique"},
		[]string{"value"}}, extendPluginData}},
	{"unset-plugin-data", action{signature{"UnsetPluginDataAction.__call__", []string{"path"}, nil, nil}, unsetPluginData}},
	{"set-port-attribute", action{signature{"SetPortAttributeAction.__call__", []string{"port_id", "path", "value"}, nil,
		[]string{"value"}}, setPortAttribute}},
	{"extend-port-attribute", action{signature{"ExtendPortAttributeAction.__call__", []string{"port_id", "path", "value"},
		[]string{"unique"}, []string{"value"}}, extendPortAttribute}},
	{"del-port-attribute", action{signature{"DelPortAttributeAction.__call__", []string{"port_id", "path"}, nil, nil}, deletePortAttribute}},
	{"api-call", action{signature{"CallAPIHookAction.__call__", []string{"url"},
		[]string{"headers", "proxies", "timeout", "retries", "backoff_factor"}, []string{"url"}}, callAPI}},
}

// actionNamed finds an action that the release has.
func (e *Engine) actionNamed(name string) (action, bool) {
	at := slices.IndexFunc(actions, func(a namedAction) bool { return a.name == name })
	if at < 0 || name == "api-call" && e.cfg.HTTP == nil {
		return action{}, false
	}
	return actions[at].action, true
}

// formerOrder is the order before api-call came.
var formerOrder = []string{"fail", "set-attribute", "set-capability", "unset-capability", "extend-attribute", "add-trait",
	"remove-trait", "set-plugin-data", "extend-plugin-data", "unset-plugin-data", "log", "del-attribute", "set-port-attribute",
	"extend-port-attribute", "del-port-attribute"}

func (e *Engine) actionNames() []string {
	if e.cfg.HTTP == nil {
		return formerOrder
	}
	var names []string
	for _, a := range actions {
		if _, has := e.actionNamed(a.name); has {
			names = append(names, a.name)
		}
	}
	return names
}

// act does an action, in a loop once for each item.
func (r *run) act(ctx context.Context, o operation) error {
	name, _ := o["op"].(string)
	a, known := r.engine.actionNamed(name)
	if !known {
		return valueError("Unsupported action: '%s'. Supported actions are: %s.", name,
			strings.Join(r.engine.actionNames(), ", "))
	}
	once := func() error {
		args, err := r.arguments(name, o, a.signature)
		if err != nil {
			return err
		}
		return a.do(ctx, r, args)
	}
	items, looping := o.loop()
	if !looping {
		return once()
	}
	defer func() { r.item = nil }()
	for _, item := range items {
		r.item = &value{v: item}
		if err := once(); err != nil {
			return err
		}
	}
	return nil
}

func fail(_ context.Context, _ *run, args store.Dict) error {
	return failure("Failed to inspect hardware. Reason: %s", str(args["msg"]))
}

var levels = map[string]zerolog.Level{"debug": zerolog.DebugLevel, "info": zerolog.InfoLevel, "warning": zerolog.WarnLevel,
	"error": zerolog.ErrorLevel, "critical": zerolog.ErrorLevel}

func log(_ context.Context, r *run, args store.Dict) error {
	name := "info"
	if given, there := args["level"]; there {
		name = strings.ToLower(str(given))
	}
	level, known := levels[name]
	if !known {
		return failure("Invalid log level: %s. Choose from %s", name, strings.Join(slices.Sorted(maps.Keys(levels)), ", "))
	}
	r.Log.WithLevel(level).Msg(str(args["msg"]))
	return nil
}

// setCapability adds a capability, also to one of the same name, as ironic does.
func setCapability(_ context.Context, r *run, args store.Dict) error {
	name, named := args["name"].(string)
	value, ok := args["value"].(string)
	if !ok || !named {
		at, wrong := 0, args["name"]
		if named {
			at, wrong = 1, args["value"]
		}
		return actionFailed("Failed to set capability %s: sequence item %d: expected str instance, %s found", str(args["name"]), at,
			typeName(wrong))
	}
	capabilities := name + ":" + value
	if before := r.Node.Properties.String("capabilities"); before != "" {
		capabilities = before + "," + capabilities
	}
	r.setCapabilities(capabilities)
	return nil
}

func unsetCapability(_ context.Context, r *run, args store.Dict) error {
	all := strings.Split(r.Node.Properties.String("capabilities"), ",")
	all = slices.DeleteFunc(all, func(c string) bool { return strings.HasPrefix(c, str(args["name"])+":") })
	r.setCapabilities(strings.Join(all, ","))
	return nil
}

func (r *run) setCapabilities(text string) {
	properties := r.Node.Properties.Clone()
	if properties == nil {
		properties = store.Dict{}
	}
	properties["capabilities"] = text
	r.Node.Properties = properties
}

func addTrait(ctx context.Context, r *run, args store.Dict) error {
	if err := r.engine.keep.AddTrait(ctx, r.Node, str(args["name"])); err != nil {
		return r.unlessLost(ctx, err, actionFailed("Failed to add new trait %s: %w", str(args["name"]), err))
	}
	return nil
}

func removeTrait(ctx context.Context, r *run, args store.Dict) error {
	err := r.engine.keep.RemoveTrait(ctx, r.Node, str(args["name"]))
	if store.KindOf(err) == store.NodeTraitNotFound {
		r.Log.Warn().Str("trait", str(args["name"])).Msg("The node does not have the trait that an inspection rule is to take off it")
		return nil
	}
	if err != nil {
		return r.unlessLost(ctx, err, actionFailed("Failed to remove trait %s: %w", str(args["name"]), err))
	}
	return nil
}
