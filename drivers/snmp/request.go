package snmp

import (
	"context"
	"fmt"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// client is a connection for one request, with the community that reads or the one that writes.
func (o *outlet) client(community string) *gosnmp.GoSNMP {
	c := &gosnmp.GoSNMP{Target: o.to.address, Port: o.to.port, Transport: "udp", Community: community, Version: o.to.version,
		Timeout: max(o.p.cfg.Timeout, time.Millisecond), Retries: o.p.cfg.Retries, MaxOids: 1, Context: o.ctx,
		ContextName: o.to.contextName, ContextEngineID: o.to.contextID}
	if o.to.version != gosnmp.Version3 {
		return c
	}
	c.SecurityModel, c.MsgFlags = gosnmp.UserSecurityModel, gosnmp.NoAuthNoPriv
	if o.to.auth != gosnmp.NoAuth {
		c.MsgFlags = gosnmp.AuthNoPriv
	}
	if o.to.priv != gosnmp.NoPriv {
		c.MsgFlags = gosnmp.AuthPriv
	}
	c.SecurityParameters = &gosnmp.UsmSecurityParameters{UserName: o.to.user, AuthenticationProtocol: o.to.auth,
		AuthenticationPassphrase: o.to.authKey, PrivacyProtocol: o.to.priv, PrivacyPassphrase: o.to.privKey}
	return c
}

func (o *outlet) get(oid string) (gosnmp.SnmpPDU, error) {
	return o.request("GET", oid, o.to.read, func(c *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return c.Get([]string{oid}) })
}

func (o *outlet) set(oid string, value int) error {
	_, err := o.request("SET", oid, o.to.write, func(c *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		return c.Set([]gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Integer, Value: value}})
	})
	return err
}

// request sends one request and takes the answer apart; whoever listens hears of it.
func (o *outlet) request(verb, oid, community string, send func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)) (gosnmp.SnmpPDU, error) {
	began := time.Now()
	v, err := o.exchange(community, send)
	if o.ctx.Err() != nil {
		return v, fmt.Errorf("speaking to the power strip %s: %w", o.to.address, context.Cause(o.ctx))
	}
	heard := drivers.Exchange{With: drivers.WithBMC, Asked: "SNMP " + verb + " " + oid, Took: time.Since(began), Err: err}
	if err == nil {
		heard.Answer = "ok"
	}
	drivers.Overhear(o.ctx, heard)
	if err != nil {
		return v, store.Errorf(store.SNMPFailure, "SNMP operation '%s' failed: %w", verb, err)
	}
	return v, nil
}

func (o *outlet) exchange(community string, send func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)) (gosnmp.SnmpPDU, error) {
	c := o.client(community)
	if err := c.Connect(); err != nil {
		o.line.Unanswered(err)
		return gosnmp.SnmpPDU{}, err
	}
	defer c.Conn.Close()
	answer, err := send(c)
	if err != nil {
		if o.ctx.Err() == nil {
			o.line.Unanswered(err)
		}
		return gosnmp.SnmpPDU{}, err
	}
	o.line.Answered()
	if answer.Error != gosnmp.NoError {
		return gosnmp.SnmpPDU{}, fmt.Errorf("%s", answer.Error)
	}
	if len(answer.Variables) != 1 {
		return gosnmp.SnmpPDU{}, fmt.Errorf("%d values came for one object", len(answer.Variables))
	}
	v := answer.Variables[0]
	if v.Type == gosnmp.NoSuchObject || v.Type == gosnmp.NoSuchInstance {
		return v, fmt.Errorf("the power strip has no object %s", v.Name)
	}
	return v, nil
}
