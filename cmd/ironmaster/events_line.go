package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ironmaster/ironmaster/conductor"
)

// eventLine is an event in words: when, which node, what about, what.
func eventLine(e nodeEvent) string {
	subject, text := e.describe()
	return fmt.Sprintf("%s  %-13s  %-9s  %s", e.at.Local().Format(time.TimeOnly), e.title(), subject, oneLine(text))
}

func (e nodeEvent) describe() (subject, text string) {
	if e.progress != nil {
		return oneLine(e.progress.Flow), describeProgress(*e.progress, e.status())
	}
	var n struct {
		State     string `json:"provision_state"`
		Previous  string `json:"previous_provision_state"`
		Event     string `json:"event"`
		Power     string `json:"power_state"`
		ToPower   string `json:"to_power"`
		FromPower string `json:"from_power"`
		LastError string `json:"last_error"`
	}
	if err := json.Unmarshal(e.data, &n); err != nil {
		return "event", e.eventType
	}
	failure := ""
	if e.status() == "error" && n.LastError != "" {
		failure = ": " + n.LastError
	}
	action, _ := strings.CutPrefix(e.eventType, "baremetal.node.")
	switch action, _, _ = strings.Cut(action, "."); action {
	case "provision_set":
		return "provision", fmt.Sprintf("%s -> %s (%s)%s", firstOf(n.Previous, "none"), firstOf(n.State, "none"), n.Event, failure)
	case "power_set":
		return "power", fmt.Sprintf("to %s: %s%s", firstOf(n.ToPower, "unknown"), e.status(), failure)
	case "power_state_corrected":
		return "power", fmt.Sprintf("is %s, was %s on record", firstOf(n.Power, "unknown"), firstOf(n.FromPower, "unknown"))
	}
	return "event", e.eventType + failure
}

func describeProgress(p conductor.ProgressPayload, status string) string {
	switch status {
	case "start":
		return "begins"
	case "end":
		return "done"
	case "error":
		return "FAILED: " + firstOf(value(p.Reason), "no reason given")
	}
	var parts []string
	if p.Step != nil {
		parts = append(parts, "step "+stepText(p, *p.Step))
	}
	if p.BytesDone != nil {
		parts = append(parts, bytesText(p))
	}
	if p.Reason != nil {
		parts = append(parts, *p.Reason)
	}
	return strings.Join(parts, ", ")
}

// stepText is a step with its place: "3/5 write_image".
func stepText(p conductor.ProgressPayload, name string) string {
	if p.Index == nil || p.Total == nil {
		return oneLine(name)
	}
	return fmt.Sprintf("%d/%d %s", *p.Index+1, *p.Total, oneLine(name))
}

func bytesText(p conductor.ProgressPayload) string {
	text := byteSize(*p.BytesDone).String()
	if p.BytesTotal != nil {
		text += " of " + byteSize(*p.BytesTotal).String()
	}
	if p.Percent != nil {
		text = fmt.Sprintf("%.1f %% (%s)", *p.Percent, text)
	}
	if p.Rate != nil {
		text += fmt.Sprintf(", %s/s", byteSize(*p.Rate))
	}
	if p.ETA != nil {
		text += fmt.Sprintf(", %s left", span(seconds(*p.ETA)))
	}
	return text
}

// seconds is a number of seconds as a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// oneLine makes a text of foreign origin fit for a terminal: no control characters, no line breaks.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
