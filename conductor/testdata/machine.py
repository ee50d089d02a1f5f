"""Prints what ironic's own provision state machine does with every pair of a state and an event.

Run by hand with the Python of each release; machine_test.go reads what it prints:

    /usr/bin/python3 machine.py >machine-21.4.txt
    BIND=$PWD ../../deploy-examples/lab/in-debian-root --as-me FOLDER /usr/bin/python3 $PWD/machine.py >machine-29.0.txt
"""
from ironic.common import exception
from ironic.common import states

try:
    from ironic.common.state_machine import machine as ironic
except ImportError:
    # Before 39.0.
    ironic = states.machine

STARTS = [None, states.ACTIVE, states.AVAILABLE, states.MANAGEABLE, states.RESCUE]


def target(state, event, start, wanted):
    """The target after an event in a state that had the target start, when the event asks for the target wanted."""
    machine = ironic.copy()
    machine.initialize(start_state=state, target_state=start)
    machine.process_event(event, target_state=wanted)
    return machine.target_state or "-"


def told(state, event):
    machine = ironic.copy()
    machine.initialize(start_state=state)
    try:
        machine.process_event(event)
    except exception.InvalidState as e:
        return "invalid | %s" % e
    return " | ".join([machine.current_state] + [
        ", ".join(target(state, event, start, wanted) for start in STARTS) for wanted in (None, states.MANAGEABLE)])


print("""# Every pair of a state and an event, asked of ironic's own machine by machine.py:
# state | event | new state | targets after the event | targets after the event that asks for manageable
# state | event | invalid | the error's text
# The targets are those of a node that had no target before, active, available, manageable, rescue.""")
events = sorted({event for state in ironic.states for event in ironic._transitions[state]})
for state in sorted(ironic.states):
    for event in events:
        print(" | ".join([state, event, told(state, event)]))
