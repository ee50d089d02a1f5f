package ipmi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// command is what a BMC is asked: in the words of ipmitool, by which errors name it too, and as IPMI messages.
type command struct {
	words string
	// messages are sent in one session; none stands for a command that only ipmitool can say.
	messages []message
	// once stands for a command that may fail, and is not tried again then.
	once bool
}

// message is one IPMI request.
type message struct {
	netFn, code byte
	data        []byte
	// optional messages may be refused.
	optional bool
}

// reply is what a BMC answered: ipmitool's output, or the data of the last message.
type reply struct {
	text string
	data []byte
}

// Network functions and commands (IPMI 2.0, appendix G).
const (
	netFnChassis     = 0x00
	netFnApplication = 0x06

	codeChassisStatus  = 0x01
	codeChassisControl = 0x02
	codeSetBootOption  = 0x08
	codeGetBootOption  = 0x09
	codeWarmReset      = 0x03
)

// Parameters of the system boot options (table 28-14).
const (
	optionProgress  = 0x00
	optionAutoClear = 0x03
	optionInfoAck   = 0x04
	optionFlags     = 0x05
)

func powerStatus() command {
	return command{words: "power status", messages: []message{{netFn: netFnChassis, code: codeChassisStatus}}}
}

// controls are the actions of Chassis Control (table 28-4) by ipmitool's words.
var controls = map[string]byte{"off": 0, "on": 1, "cycle": 2, "reset": 3, "diag": 4, "soft": 5}

func chassisControl(action string) command {
	return command{words: "power " + action,
		messages: []message{{netFn: netFnChassis, code: codeChassisControl, data: []byte{controls[action]}}}}
}

func bmcReset(warm bool) command {
	if warm {
		return command{words: "bmc reset warm", messages: []message{{netFn: netFnApplication, code: codeWarmReset}}}
	}
	// The BMC does not answer, which ipmitool knows.
	return command{words: "bmc reset cold"}
}

func getBootFlags() command {
	return command{words: "chassis bootparam get 5",
		messages: []message{{netFn: netFnChassis, code: codeGetBootOption, data: []byte{optionFlags, 0, 0}}}}
}

// setBootFlags sets the device for a machine in BIOS mode, in the messages that ipmitool sends for these words.
func setBootFlags(device string, persistent bool) command {
	valid, words := byte(0x80), "chassis bootdev "+device
	if persistent {
		valid, words = 0xc0, words+" options=persistent"
	}
	set := func(optional bool, data ...byte) message {
		return message{netFn: netFnChassis, code: codeSetBootOption, data: data, optional: optional}
	}
	return command{words: words, messages: []message{
		set(true, optionProgress, 1),
		set(true, optionInfoAck, 1, 1),
		set(false, optionFlags, valid, bootSelectors[device], 0, 0, 0),
		set(true, optionProgress, 0),
	}}
}

var rawWord = regexp.MustCompile(`^[0-9A-Za-z]+$`)

// rawCommand is what a user sends by bytes. ipmitool knows names for some; such a command is left to it.
func rawCommand(text string) (command, error) {
	words := strings.Fields(text)
	c := command{words: "raw " + strings.Join(words, " ")}
	data := make([]byte, 0, len(words))
	for _, w := range words {
		if !rawWord.MatchString(w) {
			return command{}, fmt.Errorf("raw_bytes holds %q, which is no byte: it must be like '0x00 0x01'", w)
		}
		n, err := strconv.ParseUint(w, 0, 8)
		if err == nil {
			data = append(data, byte(n))
		}
	}
	if len(words) < 2 {
		return command{}, errors.New("raw_bytes must hold a network function and a command at least, like '0x00 0x01'")
	}
	if len(data) == len(words) {
		c.messages = []message{{netFn: data[0], code: data[1], data: data[2:]}}
	}
	return c, nil
}
