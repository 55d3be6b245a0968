// Package ext is where Traefik's enterprise edition adds fields; in this build it adds none.
package ext

// HTTP adds nothing to the HTTP configuration.
type HTTP struct{}

// Router adds nothing to a router.
type Router struct{}
