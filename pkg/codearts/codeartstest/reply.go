package codeartstest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// reply is an answer before it is sent.
type reply struct {
	status int
	header http.Header
	body   []byte
	failed bool // not carried out
}

// answer is a reply with a JSON body.
func answer(status int, body any) reply {
	data, err := json.Marshal(body)
	if err != nil {
		return reply{status: http.StatusInternalServerError, body: []byte(err.Error()), failed: true}
	}
	return reply{status: status, header: http.Header{"Content-Type": {"application/json;charset=UTF-8"}}, body: data}
}

type object = map[string]any

// built is a success of Build.
func built(result any) reply {
	return answer(http.StatusOK, object{"status": "success", "error": nil, "result": result})
}

// stored is a success of Repo.
func stored(result any) reply {
	return answer(http.StatusOK, object{"result": result, "status": "success"})
}

// refuse is a failure of Build or of the gateway.
func refuse(status int, code, message string) reply {
	r := answer(status, object{"error_code": code, "error_msg": message})
	r.failed = true
	return r
}

// reject is a failure of Repo.
func reject(status int, code, message string) reply {
	r := answer(status, object{"error": object{"code": code, "message": message}, "result": nil, "status": "failed"})
	r.failed = true
	return r
}

func (a reply) write(w http.ResponseWriter) {
	a.head(w)
	_, _ = w.Write(a.body)
}

func (a reply) head(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
}

// cut sends the first half of the body and breaks the connection.
func (a reply) cut(w http.ResponseWriter) {
	a.head(w)
	_, _ = w.Write(a.body[:len(a.body)/2])
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	panic(http.ErrAbortHandler)
}
