package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dane-operator/dane-operator/internal/door"
)

// longestForm is the most that is read of a form, in octets.
const longestForm = 32 << 10

// token is the one that a request presents, or the one that its cookie holds.
func (p *Page) token(r *http.Request) string {
	if t := door.Bearer(r); t != "" {
		return t
	}
	return p.sessions.token(r)
}

// admit says whether a request may see what it asks for. Where it may not, it is answered.
func (p *Page) admit(w http.ResponseWriter, r *http.Request) bool {
	namespace, token := r.URL.Query().Get("namespace"), p.token(r)
	status, err := p.admission.ask(r.Context(), token, namespace)
	if err == nil && status == http.StatusOK {
		return true
	}
	message := ""
	if _, none := r.Cookie(p.sessions.name()); none == nil || door.Bearer(r) != "" {
		message = "Your session has ended, or the API server does not know the token any more. Enter one again."
	}
	p.refuse(w, r, status, err, p.viewOf(r), message)
	return false
}

// refuse answers a request that may not see what it asks for.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, status int, err error, v view, message string) {
	switch {
	case err != nil:
		p.o.Log.Error(err, "it could not be found out who wants to see the page, and whether he may")
		v.Title, v.Message = "Not known", "The API server could not be asked who you are. Try again in a moment."
		p.render(w, http.StatusInternalServerError, "message.html", v)
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		v.Title, v.Message, v.Session = "Who are you?", message, false
		p.render(w, status, "login.html", v)
	default:
		v.Title, v.Session = "You may not see this", p.sessions.token(r) != ""
		p.render(w, status, "forbidden.html", v)
	}
}

// login takes a token that was entered, and puts it into a cookie where the API server knows it.
func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	token, to := strings.TrimSpace(r.PostForm.Get("token")), inside(r.PostForm.Get("to"))
	status, err := p.admission.door.Ask(r.Context(), token, door.Access{Verb: "get", Path: Path})
	v := p.viewOf(r)
	v.To = to
	if err != nil || status == http.StatusUnauthorized {
		p.refuse(w, r, status, err, v, "The API server does not know this token. It may have expired.")
		return
	}
	cookie, err := p.sessions.begin(token)
	if err != nil {
		p.refuse(w, r, http.StatusUnauthorized, nil, v, "Sorry: "+err.Error()+".")
		return
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, p.sessions.end())
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// inside makes of an address one of this page: it leads nowhere else.
func inside(to string) string {
	u, err := url.Parse(to)
	if err != nil || !slices.Contains([]string{"/host", "/zones", "/zone"}, u.Path) {
		return "/" + query(u)
	}
	return u.Path + query(u)
}

func query(u *url.URL) string {
	if u == nil || u.RawQuery == "" {
		return ""
	}
	return "?" + u.Query().Encode()
}
