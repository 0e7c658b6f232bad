// Command serve shows the pages over the rooms of webtest, for work on their
// looks and for browser tests: go run ./host/web/webtest/serve
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/callboard-dev/callboard/host/web"
	"github.com/callboard-dev/callboard/host/web/assets"
	"github.com/callboard-dev/callboard/host/web/webtest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:18099", "address to listen on")
	dist := flag.String("assets", "host/web/assets/dist", "folder of built assets, read again at each start")
	flag.Parse()
	if err := run(*listen, *dist); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen, dist string) error {
	bundle, err := assets.Open(os.DirFS(dist))
	if err != nil {
		return err
	}
	settings := webtest.New(time.Now()).Demo().Settings()
	settings.Assets, settings.Now = bundle, time.Now
	fmt.Printf("http://%s/login/link?token=%s\n", listen, webtest.LinkToken)
	server := &http.Server{Addr: listen, Handler: web.New(settings), ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}
