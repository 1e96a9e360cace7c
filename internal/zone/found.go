package zone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// incomplete is the error of a discovery that found servers and may have missed others: one that is
// not known may serve anything.
type incomplete struct {
	zone string
	// problems are of names whose addresses are not known.
	problems []string
	// silent says by address what is wrong with a server that did not list the zone's servers.
	silent map[netip.AddrPort]string
}

func (e *incomplete) Error() string {
	problems := slices.Clone(e.problems)
	for at, why := range e.silent {
		problems = append(problems, at.String()+": "+why)
	}
	slices.Sort(problems)
	return fmt.Sprintf("not all of the servers of %s could be found by its delegation: %s; mend that, except the server by spec.nameservers.ignore, or list every server: spec.nameservers.discovery: Static, with addresses",
		e.zone, strings.Join(problems, "; "))
}

// Unwrap makes it an ErrDiscovery.
func (e *incomplete) Unwrap() error { return ErrDiscovery }

// lack says why there may be more servers than were found; nil when there are not.
func (f *finder) lack() error {
	e := &incomplete{zone: f.zone, silent: f.silent}
	for _, name := range f.names {
		switch err := f.unresolved[name]; {
		case ignored(f.ignore, Server{Name: name}):
		case err != nil:
			e.problems = append(e.problems, fmt.Sprintf("not every address of the name server %s is known: %v", name, err))
		case len(f.addrs[name]) == 0:
			e.problems = append(e.problems, fmt.Sprintf("the name server %s has no address: correct its A and AAAA records, or the NS set", name))
		}
	}
	if len(e.problems) == 0 && len(e.silent) == 0 {
		return nil
	}
	return e
}

// hold marks the servers that did not list the zone's servers as ones that cannot be asked: no round
// is green without them, and people see which they are. It returns what is to be reported beside.
func hold(list []target, err error) error {
	var e *incomplete
	if !errors.As(err, &e) {
		return err
	}
	for i := range list {
		if why, ok := e.silent[list[i].Addr]; ok {
			list[i].problem = why
		}
	}
	if len(e.problems) == 0 {
		return nil
	}
	return &incomplete{zone: e.zone, problems: e.problems}
}

// lookAgainAfter is how soon an incomplete set is looked for anew: rounds follow each other as fast,
// and the servers of the parent zone are others'.
const lookAgainAfter = 10 * time.Second

// found is what is known of a zone's servers by its delegation.
type found struct {
	zone    string
	servers []Server
	// at is when they were last found, all of them; zero when they are to be looked for anew.
	at time.Time
	// lack says why the newest look may have missed some, lackAt when that was. Until one finds all,
	// servers that were known before stay among them.
	lack   error
	lackAt time.Time
	// above are the servers of the parent zone.
	above []netip.Addr
	// lead is the longest TTL of the records that lead to the servers.
	lead time.Duration
}

// serves says whether the servers need not be looked for now.
func (f found) serves(opts Options) bool {
	if f.lack != nil {
		return opts.Clock.Since(f.lackAt) < min(lookAgainAfter, opts.DiscoveryEvery)
	}
	return len(f.servers) > 0 && opts.Clock.Since(f.at) < opts.DiscoveryEvery
}

// discovered gives the servers found by delegation, looked up anew when they are too old. When nobody
// can be asked, a set that is not very old serves on: it was whole. With an error the servers given may
// not be all.
func (k *knowledge) discovered(ctx context.Context, cfg Config) ([]Server, error) {
	k.mu.Lock()
	if k.found.zone != cfg.Zone {
		k.found = found{zone: cfg.Zone}
	}
	was := k.found
	k.mu.Unlock()
	if was.serves(k.opts) {
		return slices.Clone(was.servers), was.lack
	}
	f, err := discoverBy(ctx, k.opts, cfg)
	fresh := f.servers()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.opts.Clock.Now()
	if len(f.above) > 0 {
		defer func() { k.found.above = f.above }()
	}
	var lack *incomplete
	switch {
	case err == nil:
		k.found = found{zone: cfg.Zone, servers: fresh, at: now, lead: f.lead}
	case errors.As(err, &lack):
		k.found.servers, k.found.lack, k.found.lackAt = union(fresh, k.found.servers), err, now
		k.found.lead = max(f.lead, k.found.lead)
	case k.found.lack == nil && len(k.found.servers) > 0 && now.Sub(k.found.at) < k.opts.DiscoveryKeep:
		err = nil
	}
	return slices.Clone(k.found.servers), err
}

func union(a, b []Server) []Server {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.ContainsFunc(out, func(known Server) bool { return known.Addr == s.Addr }) {
			out = append(out, s)
		}
	}
	return out
}

// forgetServers makes the next round look for the servers anew.
func (k *knowledge) forgetServers() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.found.at, k.found.lackAt = time.Time{}, time.Time{}
}
