package cli

import "encoding/json"

// inspected is what inspect prints of an image: docker's names where docker has one.
type inspected struct {
	ID          string          `json:"Id"`
	RepoTags    []string        `json:"RepoTags"`
	RepoDigests []string        `json:"RepoDigests"`
	Size        int64           `json:"Size"`
	Config      json.RawMessage `json:"ImageConfig"`
}
