package ring

// Member is a worker that is alive, as the shared database shows it.
type Member struct {
	Hostname string
	// Group is the conductor group, lower case; "" is a group too.
	Group string
	// HardwareTypes are those with at least one registered interface. A member without any owns no node.
	HardwareTypes []string
}

// Set holds the rings of a deployment, one for each conductor group and hardware type.
type Set struct {
	rings map[ringKey]*Ring
}

type ringKey struct{ group, hardwareType string }

// NewSet builds the rings of the members.
func NewSet(cfg Config, members []Member) (*Set, error) {
	hosts := map[ringKey][]string{}
	for _, m := range members {
		for _, hardwareType := range m.HardwareTypes {
			k := ringKey{m.Group, hardwareType}
			hosts[k] = append(hosts[k], m.Hostname)
		}
	}
	s := &Set{rings: make(map[ringKey]*Ring, len(hosts))}
	for k, names := range hosts {
		r, err := New(cfg, names)
		if err != nil {
			return nil, err
		}
		s.rings[k] = r
	}
	return s, nil
}

// Host returns the host responsible for a node by its driver, conductor group and UUID; "" when no worker of the group
// has the driver.
func (s *Set) Host(driver, group, uuid string) string {
	r := s.rings[ringKey{group, driver}]
	if r == nil {
		return ""
	}
	return r.Host(uuid)
}
