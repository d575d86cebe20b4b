// SPDX-License-Identifier: MIT
// client.go URL METHOD BYTES length|chunked COUNT [NAME=VALUE]...: net/http of Go.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func upload(url, method string, size int, framing string, fields []string) string {
	var content io.Reader = bytes.NewReader(make([]byte, size))
	if framing == "chunked" {
		content = struct{ io.Reader }{content} // hides the length
	}
	request, err := http.NewRequest(method, url, content)
	if err != nil {
		return err.Error()
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		request.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	if _, err = io.ReadAll(response.Body); err != nil {
		return err.Error()
	}
	return strconv.Itoa(response.StatusCode)
}

func main() {
	size, _ := strconv.Atoi(os.Args[3])
	count, _ := strconv.Atoi(os.Args[5])
	for i := 0; i < count; i++ {
		fmt.Println(upload(os.Args[1], os.Args[2], size, os.Args[4], os.Args[6:]))
	}
}
