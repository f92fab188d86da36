package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"sigs.k8s.io/yaml"
)

// api speaks HTTPS with the API server as kubectl would, without its libraries: what is measured is the server.
type api struct {
	server string
	tls    *tls.Config
	http   *http.Client
}

func newAPI(kubeconfig string) (*api, error) {
	raw, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
				CA     string `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(raw, &k); err != nil {
		return nil, err
	}
	var parts [3][]byte
	for i, s := range []string{k.Clusters[0].Cluster.CA, k.Users[0].User.Cert, k.Users[0].User.Key} {
		if parts[i], err = base64.StdEncoding.DecodeString(s); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(parts[0])
	a := &api{server: k.Clusters[0].Cluster.Server, tls: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	a.http = a.client()
	return a, nil
}

// client is one with a connection of its own.
func (a *api) client() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: a.tls.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}}
}

func (a *api) close() { a.http.CloseIdleConnections() }

func (a *api) request(c *http.Client, method, path, kind string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, a.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, raw)
	}
	return raw, err
}

func (a *api) create(c *http.Client, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = a.request(c, http.MethodPost, path, "application/json", body)
	return err
}

func (a *api) delete(path string) error {
	_, err := a.request(a.http, http.MethodDelete, path, "", nil)
	return err
}

// event of a watch, with what is looked at here.
type event struct {
	Type   string `json:"type"`
	Object struct {
		Metadata struct {
			Name            string `json:"name"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
		Status struct {
			Phase string `json:"phase"`
		} `json:"status"`
	} `json:"object"`
}

// watch calls f for each event until f says stop or the stream ends. ready is called once the server answered.
func (a *api) watch(c *http.Client, path string, ready func(), f func(event) bool) error {
	resp, err := c.Get(a.server + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("watch %s: %s", path, resp.Status)
	}
	ready()
	for lines := json.NewDecoder(resp.Body); ; {
		var e event
		if err := lines.Decode(&e); err != nil {
			return err
		}
		if !f(e) {
			return nil
		}
	}
}

type object = map[string]any

func configMap(name string, bytes int) object {
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": name, "labels": object{"bench": "yes"}}, "data": object{"text": filler(bytes)}}
}

func filler(n int) string { return string(bytes.Repeat([]byte("x"), n)) }

func pod(name string) object {
	return object{
		"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": name, "labels": object{"bench": "yes"}},
		"spec": object{
			"terminationGracePeriodSeconds": 0,
			"containers":                    []object{{"name": "box", "image": "box:latest", "imagePullPolicy": "Never"}},
		},
	}
}

// revision of the store now: that of an empty list.
func (a *api) revision() (int64, error) {
	raw, err := a.request(a.http, http.MethodGet, "/api/v1/namespaces/default/podtemplates", "", nil)
	if err != nil {
		return 0, err
	}
	var l struct {
		Metadata struct {
			ResourceVersion int64 `json:"resourceVersion,string"`
		} `json:"metadata"`
	}
	return l.Metadata.ResourceVersion, json.Unmarshal(raw, &l)
}
