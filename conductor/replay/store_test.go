package replay

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// table is one that a case may change.
type table struct {
	name string
	// key are the columns that identify a row in the recordings.
	key []string
}

// tables stand in the order in which they can be emptied.
var tables = []table{
	{"node_history", []string{"node_id", "event"}},
	{"node_inventory", []string{"node_id"}},
	{"firmware_information", []string{"node_id", "component"}},
	{"bios_settings", []string{"node_id", "name"}},
	{"node_traits", []string{"trait"}},
	{"ports", []string{"uuid"}},
	{"portgroups", []string{"uuid"}},
	{"volume_connectors", []string{"uuid"}},
	{"volume_targets", []string{"uuid"}},
	{"allocations", []string{"uuid"}},
	{"nodes", []string{"uuid"}},
	{"deploy_template_steps", []string{"interface", "step", "priority"}},
	{"deploy_templates", []string{"uuid"}},
	{"runbook_steps", []string{"interface", "step", "order"}},
	{"runbook_traits", []string{"trait"}},
	{"runbooks", []string{"uuid"}},
	{"inspection_rules", []string{"uuid"}},
	{"chassis", []string{"uuid"}},
}

type database struct {
	*sql.DB
	// versions of the objects, which rows carry.
	versions map[string]string
	// tables are those that this schema has.
	tables []table
	// newer are the columns of nodes that 21.4 did not have, with what they usually hold; lacking are those of them that
	// this schema does not have either.
	newer   row
	lacking []string
	// later are the columns of laterColumns that this schema does not have.
	later map[string][]string
}

func openDatabase(url string, release releaseRecord) (database, error) {
	rest, ok := strings.CutPrefix(url, "mysql+pymysql://")
	if !ok {
		return database{}, fmt.Errorf("%s is not a MariaDB", url)
	}
	account, place, _ := strings.Cut(rest, "@")
	address, name, _ := strings.Cut(place, "/")
	db, err := sql.Open("mysql", account+"@tcp("+address+")/"+name)
	if err != nil {
		return database{}, err
	}
	d := database{DB: db, versions: release.versions, newer: row{}, later: map[string][]string{}}
	for _, table := range tables {
		var known int
		err := db.QueryRow("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?", name, table.name).Scan(&known)
		if err != nil {
			return database{}, fmt.Errorf("looking for the table %s: %w", table.name, err)
		}
		if known > 0 {
			d.tables = append(d.tables, table)
		}
	}
	since := row{"firmware_interface": "no-firmware", "service_step": "{}", "disable_power_off": "0"}
	for column, value := range since {
		known, err := hasColumn(db, name, "nodes", column)
		if err != nil {
			return database{}, err
		}
		if known {
			d.newer[column] = value
		} else {
			d.lacking = append(d.lacking, column)
		}
	}
	for table, columns := range laterColumns {
		for _, column := range columns {
			known, err := hasColumn(db, name, table, column)
			if err != nil {
				return database{}, err
			}
			if !known {
				d.later[table] = append(d.later[table], column)
			}
		}
	}
	return d, nil
}

// laterColumns of ports and port groups 21.4 did not have.
var laterColumns = map[string][]string{
	"ports":      {"vendor", "category", "available_for_dynamic_portgroup"},
	"portgroups": {"physical_network", "category", "dynamic_portgroup"},
}

// dropLater removes those of them that this schema does not have either.
func (d database) dropLater(table string, values row) {
	for _, column := range d.later[table] {
		delete(values, column)
	}
}

// hasColumn asks the schema of a database.
func hasColumn(db *sql.DB, name, table, column string) (bool, error) {
	var known int
	err := db.QueryRow("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND column_name = ?",
		name, table, column).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("looking for the column %s: %w", column, err)
	}
	return known > 0, nil
}

func (d database) empty() error {
	// Nodes and allocations refer to each other.
	if _, err := d.Exec("UPDATE nodes SET allocation_id = NULL"); err != nil {
		return fmt.Errorf("taking the allocations from nodes: %w", err)
	}
	for _, table := range d.tables {
		if _, err := d.Exec("DELETE FROM " + table.name); err != nil {
			return fmt.Errorf("emptying %s: %w", table.name, err)
		}
	}
	return nil
}

func (d database) insert(table string, values row) error {
	full := row{"created_at": time.Now().UTC().Format(time.DateTime), "version": d.versions[table]}
	maps.Copy(full, values)
	names := slices.Sorted(maps.Keys(full))
	var arguments []any
	for _, name := range names {
		arguments = append(arguments, text(full[name]))
	}
	query := "INSERT INTO " + table + " (`" + strings.Join(names, "`, `") + "`) VALUES (?" +
		strings.Repeat(", ?", len(names)-1) + ")"
	if _, err := d.Exec(query, arguments...); err != nil {
		return fmt.Errorf("inserting into %s: %w", table, err)
	}
	return nil
}

// seed puts the state before a case into the database.
func (d database) seed(usual map[string]row, s setup, r recording, text string) error {
	if err := d.empty(); err != nil {
		return err
	}
	if err := d.seedRows(s, true); err != nil {
		return err
	}
	var conductor string
	if err := d.QueryRow("SELECT id FROM conductors WHERE hostname = ?", hostname).Scan(&conductor); err != nil {
		return fmt.Errorf("looking for the conductor's row: %w", err)
	}
	wanted := map[string]row{}
	for uuid, node := range usual {
		if strings.Contains(text, uuid) && !slices.Contains(s.Absent, uuid) {
			wanted[uuid] = maps.Clone(node)
		}
	}
	for uuid, change := range r.Changes {
		uuid, isNode := strings.CutPrefix(uuid, "nodes/")
		if !isNode {
			continue
		}
		if _, isNew := created(change); isNew {
			delete(wanted, uuid)
			continue
		}
		if wanted[uuid] == nil {
			wanted[uuid] = row{}
		}
		maps.Copy(wanted[uuid], columns(change, 0))
	}
	for uuid, own := range s.Nodes {
		if wanted[uuid] == nil {
			wanted[uuid] = maps.Clone(usual[uuid])
		}
		if wanted[uuid] == nil {
			wanted[uuid] = row{}
		}
		maps.Copy(wanted[uuid], own)
	}
	for _, allocation := range s.Allocations {
		values := row{"traits": "[]", "candidate_nodes": "[]", "extra": "{}", "state": "active", "conductor_affinity": conductor}
		maps.Copy(values, allocation)
		if values["conductor_affinity"] != nil {
			values["conductor_affinity"] = conductor
		}
		delete(values, "node_id")
		if err := d.insert("allocations", values); err != nil {
			return err
		}
	}
	ports := s.Ports
	for _, uuid := range slices.Sorted(maps.Keys(wanted)) {
		node := wanted[uuid]
		own, _ := node["ports"].([]any)
		for _, port := range own {
			port := row(maps.Clone(port.(map[string]any)))
			port["node_id"] = node["id"]
			ports = append(ports, port)
		}
		if err := d.insert("nodes", d.complete(node, uuid, conductor)); err != nil {
			return err
		}
	}
	return d.seedRest(s, ports)
}

func (d database) seedRest(s setup, ports []row) error {
	for _, group := range s.Portgroups {
		values := row{"extra": "{}", "internal_info": "{}", "standalone_ports_supported": "1"}
		maps.Copy(values, group)
		d.dropLater("portgroups", values)
		if err := d.insert("portgroups", values); err != nil {
			return err
		}
	}
	for _, port := range ports {
		values := row{"extra": "{}", "internal_info": "{}", "local_link_connection": "{}", "pxe_enabled": "1", "is_smartnic": "0"}
		maps.Copy(values, port)
		d.dropLater("ports", values)
		if err := d.insert("ports", values); err != nil {
			return err
		}
	}
	for _, part := range []struct {
		table string
		usual row
		rows  []row
	}{
		{"volume_connectors", row{"extra": "{}"}, s.Connectors},
		{"volume_targets", row{"extra": "{}", "properties": "{}"}, s.Targets},
	} {
		for _, own := range part.rows {
			values := maps.Clone(part.usual)
			maps.Copy(values, own)
			if err := d.insert(part.table, values); err != nil {
				return err
			}
		}
	}
	for _, a := range s.Allocations {
		if _, err := d.Exec("UPDATE allocations SET node_id = ? WHERE id = ?", text(a["node_id"]), text(a["id"])); err != nil {
			return fmt.Errorf("giving an allocation its node: %w", err)
		}
	}
	for _, trait := range s.Traits {
		if err := d.insert("node_traits", trait); err != nil {
			return err
		}
	}
	for _, setting := range s.BIOS {
		values := row{"allowable_values": "[]"}
		maps.Copy(values, setting)
		if err := d.insert("bios_settings", values); err != nil {
			return err
		}
	}
	return d.seedRows(s, false)
}

// seedRows inserts the rows that a case gives by table, before the nodes or after them. Tables that this schema lacks are left out.
func (d database) seedRows(s setup, beforeNodes bool) error {
	for _, table := range slices.Backward(d.tables) {
		if (table.name == "chassis") != beforeNodes {
			continue
		}
		for _, values := range s.Rows[table.name] {
			if err := d.insert(table.name, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// complete fills in what every node has.
func (d database) complete(node row, uuid, conductor string) row {
	values := row{
		"uuid": uuid, "driver": "fake-hardware", "provision_state": "enroll", "conductor_group": "",
		"maintenance": "0", "console_enabled": "0", "protected": "0", "retired": "0",
	}
	for _, column := range []string{"driver_info", "driver_internal_info", "instance_info", "properties", "extra",
		"clean_step", "deploy_step", "raid_config", "target_raid_config", "network_data"} {
		values[column] = "{}"
	}
	maps.Copy(values, d.newer)
	for column, value := range node {
		if column == "ports" || value == nil && values[column] != nil || slices.Contains(d.lacking, column) {
			continue
		}
		values[column] = value
	}
	if values["conductor_affinity"] != nil {
		values["conductor_affinity"] = conductor
	}
	_, known := node["provision_updated_at"]
	if values["provision_updated_at"] != nil || !known && values["provision_state"] != "enroll" {
		// Nodes that wait since the recording would run into a timeout.
		values["provision_updated_at"] = time.Now().UTC().Format(time.DateTime)
	}
	return values
}

// rows returns all rows of the tables that cases change, as "table/key".
func (d database) rows() (map[string]any, error) {
	all, found := map[string]any{}, map[string][]row{}
	for _, table := range d.tables {
		var err error
		if found[table.name], err = d.table(table.name); err != nil {
			return nil, err
		}
	}
	nameDynamic(found)
	for _, table := range d.tables {
		for _, values := range found[table.name] {
			all[rowKey(table.name, table.key, values)] = values
		}
	}
	return all, nil
}

// nameDynamic takes what is left to chance from port groups that the conductor makes for one virtual interface.
func nameDynamic(found map[string][]row) {
	const name, stand = "tbn_dyn_portgroup_", "<dynamic>"
	for _, group := range found["portgroups"] {
		if called, _ := group["name"].(string); !strings.HasPrefix(called, name) {
			continue
		}
		for _, port := range found["ports"] {
			if port["portgroup_id"] != nil && port["portgroup_id"] == group["id"] {
				port["portgroup_id"] = stand
			}
		}
		group["id"], group["uuid"], group["name"] = stand, stand, name+stand
	}
}

func rowKey(table string, key []string, values row) string {
	var parts []string
	for _, column := range key {
		parts = append(parts, objects.ReplaceAllString(fmt.Sprint(text(values[column])), "object at <address>"))
	}
	return table + "/" + strings.Join(parts, ":")
}

// table returns all rows of a table.
func (d database) table(name string) ([]row, error) {
	result, err := d.Query("SELECT * FROM " + name)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	names, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var all []row
	for result.Next() {
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(sql.NullString)
		}
		if err := result.Scan(values...); err != nil {
			return nil, err
		}
		r := row{}
		for i, name := range names {
			if v := values[i].(*sql.NullString); v.Valid {
				r[name] = v.String
			} else {
				r[name] = nil
			}
		}
		all = append(all, r)
	}
	return all, result.Err()
}

// volatile columns are generated, or say only that something was written.
var volatile = map[string][]string{
	"nodes": {"updated_at"}, "ports": {"updated_at"}, "portgroups": {"updated_at"},
	"volume_connectors": {"updated_at"}, "volume_targets": {"updated_at"}, "allocations": {"updated_at"}, "node_history": {"id", "uuid", "duration_seconds"},
	"node_traits": {"updated_at"}, "bios_settings": {"updated_at"}, "node_inventory": {"id", "updated_at"}, "firmware_information": {"updated_at"},
	"deploy_template_steps": {"id", "deploy_template_id", "updated_at"}, "deploy_templates": {"updated_at"},
	"runbook_steps": {"id", "runbook_id", "updated_at"}, "runbook_traits": {"runbook_id", "updated_at"}, "runbooks": {"updated_at"},
	"inspection_rules": {"updated_at"}, "chassis": {"updated_at"},
}

// expected is what rows() should return after the case.
func expected(before map[string]any, r recording) map[string]any {
	after := maps.Clone(before)
	for place, change := range r.Changes {
		table, _, _ := strings.Cut(place, "/")
		var key []string
		for _, known := range tables {
			if known.name == table {
				key = known.key
			}
		}
		if key == nil {
			continue
		}
		switch fresh, isNew := created(change); {
		case change == "deleted":
			delete(after, place)
		case isNew:
			after[rowKey(table, key, fresh)] = fresh
		default:
			values := row{}
			if old, ok := after[place].(row); ok {
				values = maps.Clone(old)
			}
			maps.Copy(values, columns(change, 1))
			after[place] = values
		}
	}
	return after
}

// comparable drops volatile columns, and columns without a value, which recordings of new rows leave out.
func comparable(rows map[string]any) map[string]any {
	all := map[string]any{}
	for place, values := range rows {
		table, _, _ := strings.Cut(place, "/")
		kept := map[string]any{}
		for column, value := range values.(row) {
			if value == nil || slices.Contains(volatile[table], column) {
				continue
			}
			kept[column] = plain(column, text(value))
		}
		all[place] = kept
	}
	return all
}
