package kickstart

import (
	"fmt"

	"github.com/nikolalohinski/gonja/v2"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Templates are mostly users' texts, and the engine cannot be stopped: a stack or a memory that runs out ends the worker with all its flows. Their
// language is therefore Jinja's without what repeats, calls or puts together: each tag stands for one value that there is already.

// statements and filters are those of Jinja's that remain; none makes more of what it is given.
var (
	statements = []string{"if", "raw"}
	filters    = []string{"capitalize", "d", "default", "float", "int", "length", "lower", "string", "title", "trim", "upper"}
)

// refused are the operators by which few characters become very many.
var refused = map[tokens.Type]string{tokens.Addition: "+", tokens.Multiply: "*", tokens.Power: "**", tokens.Tilde: "~", tokens.Comma: ","}

// The parser goes one level deeper for each statement within another, and for each parenthesis.
const (
	maxStatements = 1000
	maxTokens     = 64
)

// fullEnvironment is what an operator's template can use. None of the engine's functions is there, as in ironic.
func fullEnvironment() *exec.Environment {
	e := *gonja.DefaultEnvironment
	e.Context = exec.EmptyContext()
	return &e
}

// environment is what users' templates can use. It has none of the engine's functions and methods.
func environment() *exec.Environment {
	e := &exec.Environment{Tests: gonja.DefaultEnvironment.Tests, Context: exec.EmptyContext(), Methods: exec.Methods{
		Bool: exec.NewMethodSet[bool](nil), Int: exec.NewMethodSet[int](nil), Float: exec.NewMethodSet[float64](nil),
		Str: exec.NewMethodSet[string](nil), Dict: exec.NewMethodSet[map[string]any](nil), List: exec.NewMethodSet[[]any](nil)}}
	parsers, functions := map[string]parser.ControlStructureParser{}, map[string]exec.FilterFunction{}
	for _, name := range statements {
		parsers[name], _ = gonja.DefaultEnvironment.ControlStructures.Get(name)
	}
	for _, name := range filters {
		functions[name], _ = gonja.DefaultEnvironment.Filters.Get(name)
	}
	e.ControlStructures, e.Filters = exec.NewControlStructureSet(parsers), exec.NewFilterSet(functions)
	return e
}

// checkTokens refuses a template that the parser must not see. What is no Jinja at all it leaves to the parser.
func checkTokens(template string, cfg *config.Config) error {
	found, length := 0, 0
	for stream := tokens.LexAll(template, cfg); !stream.End(); {
		token := stream.Next()
		switch token.Type {
		case tokens.BlockBegin:
			found++
			length = 0
		case tokens.VariableBegin, tokens.Data, tokens.Comment:
			length = 0
		}
		operator, is := refused[token.Type]
		length++
		switch {
		case is:
			return fmt.Errorf("the operator %s is not available, in line %d", operator, token.Line)
		case found > maxStatements:
			return fmt.Errorf("it has more than %d statements", maxStatements)
		case length > maxTokens:
			return fmt.Errorf("what stands in line %d is too long", token.Line)
		}
	}
	return nil
}
