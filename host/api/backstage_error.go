package api

import (
	"encoding/json"
	"net/http"
	"strings"
)

// isBackstage reports whether a path is one of Backstage's own, where its
// clients expect its error body.
func isBackstage(path string) bool {
	for _, prefix := range [...]string{"/api/catalog/", "/api/search/", "/api/scaffolder/", "/api/techdocs/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// backstageError is the body that Backstage's clients read.
type backstageError struct {
	Error    backstageErrorName     `json:"error"`
	Request  backstageErrorRequest  `json:"request"`
	Response backstageErrorResponse `json:"response"`
}

type backstageErrorName struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
}

type backstageErrorRequest struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type backstageErrorResponse struct {
	StatusCode int `json:"statusCode"`
}

// backstageNames are the names of Backstage's error classes by status.
func backstageName(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return "InputError"
	case http.StatusUnauthorized:
		return "AuthenticationError"
	case http.StatusForbidden:
		return "NotAllowedError"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "NotFoundError"
	case http.StatusConflict, http.StatusPreconditionFailed:
		return "ConflictError"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailableError"
	}
	return "Error"
}

// writeBackstageError answers p in Backstage's form.
func writeBackstageError(w http.ResponseWriter, r *http.Request, p *Problem) {
	message := p.Detail
	if p.Hint != "" {
		message += " (" + p.Hint + ")"
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(backstageError{
		Error:    backstageErrorName{Name: backstageName(p.Status), Message: message, Code: string(p.code)},
		Request:  backstageErrorRequest{Method: r.Method, URL: r.URL.Path},
		Response: backstageErrorResponse{StatusCode: p.Status},
	})
}
