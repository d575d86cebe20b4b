// SPDX-License-Identifier: MIT
// tls_client.go URL CERTIFICATE COUNT: net/http of Go, each request on a connection of its own. Prints status and body of each.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	pem, err := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		panic("no certificate")
	}
	transport := &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
	client := http.Client{Transport: transport, Timeout: 5 * time.Minute}
	count, _ := strconv.Atoi(os.Args[3])
	for i := 0; i < count; i++ {
		response, err := client.Get(os.Args[1])
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			panic(err)
		}
		response.Body.Close()
		fmt.Println(response.StatusCode, string(body))
	}
}
