package room

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	rootPath           = "/redfish/v1"
	sessionServicePath = rootPath + "/SessionService"
	sessionsPath       = sessionServicePath + "/Sessions"
	// maxSessions is what small BMCs allow. A client that never logs out finds out.
	maxSessions = 16
)

var serviceRoutes = []route{
	{path: "/redfish", open: true, get: func(*bmc, *http.Request) document { return document{"v1": rootPath + "/"} }},
	{path: rootPath, open: true, get: serviceRoot},
	{path: sessionServicePath, get: sessionService},
	{path: sessionsPath, get: sessionCollection, post: login},
	{path: sessionsPath + "/{session}", get: oneSession, remove: logout},
}

func serviceRoot(b *bmc, _ *http.Request) document {
	return document{
		"@odata.id":      rootPath + "/",
		"@odata.type":    "#ServiceRoot.v1_5_0.ServiceRoot",
		"Id":             "RootService",
		"Name":           "Ironmaster room BMC",
		"RedfishVersion": "1.6.0",
		"UUID":           uuid.NewSHA1(uuid.NameSpaceOID, []byte(b.m.uuid)).String(),
		"ProtocolFeaturesSupported": document{
			"ExpandQuery":     document{"ExpandAll": false, "Levels": false, "Links": false, "NoLinks": false},
			"FilterQuery":     false,
			"OnlyMemberQuery": false,
			"SelectQuery":     false,
		},
		"Systems":        link(systemsPath),
		"Managers":       link(managersPath),
		"Chassis":        link(chassisPath),
		"SessionService": link(sessionServicePath),
		"Tasks":          link(rootPath + "/TaskService"),
		"UpdateService":  link(updatePath),
		"Links":          document{"Sessions": link(sessionsPath)},
	}
}

func sessionService(b *bmc, _ *http.Request) document {
	return document{
		"@odata.id":      sessionServicePath,
		"@odata.type":    "#SessionService.v1_1_3.SessionService",
		"Id":             "SessionService",
		"Name":           "Session Service",
		"ServiceEnabled": !b.m.traits.basicOnly,
		"SessionTimeout": int(b.sessions.timeout / time.Second),
		"Sessions":       link(sessionsPath),
	}
}

func sessionCollection(b *bmc, _ *http.Request) document {
	members := []string{}
	for _, id := range b.sessions.ids() {
		members = append(members, sessionsPath+"/"+id)
	}
	return collection(sessionsPath, "Session", "Sessions", members...)
}

func oneSession(b *bmc, r *http.Request) document {
	id := r.PathValue("session")
	if !slices.Contains(b.sessions.ids(), id) {
		return nil
	}
	return sessionDocument(b, id)
}

func sessionDocument(b *bmc, id string) document {
	return document{
		"@odata.id":   sessionsPath + "/" + id,
		"@odata.type": "#Session.v1_0_2.Session",
		"Id":          id,
		"Name":        "Session " + id,
		"UserName":    b.m.info.Username,
	}
}

func login(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	user, _ := body["UserName"].(string)
	password, _ := body["Password"].(string)
	if b.m.traits.basicOnly || !b.knows(user, password) {
		return errUnauthorized()
	}
	id, token, ok := b.sessions.add()
	if !ok {
		return errSessionLimit()
	}
	text, _, err := encodeResource(sessionDocument(b, id))
	if err != nil {
		return errInternal()
	}
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", sessionsPath+"/"+id)
	sendJSON(w, http.StatusCreated, text)
	return nil
}

func logout(b *bmc, r *http.Request) *redfishError {
	b.sessions.remove(r.PathValue("session"))
	return nil
}

// authorized checks a session token or, when there is none, basic authentication.
func (b *bmc) authorized(r *http.Request) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		return b.sessions.use(token)
	}
	user, password, ok := r.BasicAuth()
	return ok && b.knows(user, password)
}

func (b *bmc) knows(user, password string) bool {
	name := subtle.ConstantTimeCompare([]byte(user), []byte(b.m.info.Username))
	secret := subtle.ConstantTimeCompare([]byte(password), []byte(b.password))
	return name&secret == 1
}

// sessions are the logged-in clients of a BMC.
type sessions struct {
	timeout time.Duration

	mu    sync.Mutex
	count int
	open  []clientSession
}

type clientSession struct {
	id, token string
	used      time.Time
}

func (s *sessions) add() (id, token string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if len(s.open) >= maxSessions {
		return "", "", false
	}
	s.count++
	one := clientSession{id: strconv.Itoa(s.count), token: rand.Text(), used: time.Now()}
	s.open = append(s.open, one)
	return one.id, one.token, true
}

func (s *sessions) use(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	for i := range s.open {
		if subtle.ConstantTimeCompare([]byte(s.open[i].token), []byte(token)) == 1 {
			s.open[i].used = time.Now()
			return true
		}
	}
	return false
}

func (s *sessions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(one clientSession) bool { return one.id == id })
}

func (s *sessions) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = nil
}

func (s *sessions) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	ids := []string{}
	for _, one := range s.open {
		ids = append(ids, one.id)
	}
	return ids
}

func (s *sessions) expire() {
	oldest := time.Now().Add(-s.timeout)
	s.open = slices.DeleteFunc(s.open, func(one clientSession) bool { return one.used.Before(oldest) })
}
