package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// versionDates say when each minor version of v2 came; the index is the version.
var versionDates = []string{
	"2016-12-11T00:00:00Z", "2018-04-20T00:00:00Z", "2018-07-31T00:00:00Z", "2018-12-18T00:00:00Z",
	"2018-12-19T00:00:00Z", "2019-01-21T00:00:00Z", "2019-01-25T00:00:00Z", "2018-01-25T12:00:00Z",
	"2019-02-12T00:00:00Z", "2019-03-04T00:00:00Z", "2019-03-05T00:00:00Z", "2019-06-24T00:00:00Z",
	"2019-09-11T00:00:00Z", "2019-09-13T00:00:00Z", "2019-11-10T00:00:00Z", "2020-03-10T00:00:00Z",
	"2020-03-15T00:00:00Z", "2020-04-29T00:00:00Z", "2020-04-29T01:00:00Z", "2020-05-12T00:00:00Z",
	"2020-08-02T00:00:00Z", "2020-09-03T00:00:00Z", "2020-09-04T00:00:00Z", "2020-09-07T00:00:00Z",
	"2020-10-15T00:00:00Z", "2021-10-02T00:00:00Z", "2022-08-29T00:00:00Z", "2023-05-05T00:00:00Z",
	"2023-11-08T00:00:00Z", "2024-10-15T00:00:00Z", "2025-02-26T00:00:00Z",
}

type versionEntry struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Updated string `json:"updated"`
	Links   []link `json:"links"`
}

// versions answers GET /, which clients read to learn what they may use.
func (s *Server) versions(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	base := strings.TrimSuffix(s.requestURL(c), "/") + "/v2"
	entries := make([]versionEntry, len(versionDates))
	for i, date := range versionDates {
		entries[i] = versionEntry{fmt.Sprintf("v2.%d", i), "SUPPORTED", date, []link{{Href: base, Rel: "self"}}}
	}
	entries[len(entries)-1].Status = "CURRENT"
	return c.JSON(http.StatusOK, map[string][]versionEntry{"versions": entries})
}

// versionRoot answers GET /v2.
func (s *Server) versionRoot(c echo.Context) error {
	if err := callOf(c).only(); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, "v2")
}
