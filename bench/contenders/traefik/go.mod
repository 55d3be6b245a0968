// Traefik as a tool of this module: a module that says "replace", as Traefik's own does, cannot be installed by name.
module faf-cab-gateway/bench/traefik

go 1.26.0

tool github.com/traefik/traefik/v3/cmd/traefik

require github.com/traefik/traefik/v3 v3.7.13

replace (
	// Traefik's forks; of the first the newest release that the module proxy has.
	github.com/abbot/go-http-auth => github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e
	github.com/gorilla/mux => github.com/containous/mux v0.0.0-20250523120546-41b6ec3aed59
	// The build makes ./lego: what Traefik requires, without the 150 packages of DNS providers, one of which cannot be had.
	github.com/go-acme/lego/v5 => ./lego
	// In Traefik's repository a folder, and in its module nothing.
	github.com/traefik/traefik/dynamic/ext => ./ext
)
