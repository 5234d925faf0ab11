package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

type providerOut struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// providers answers GET /providers with [api_settings] enabled_provider_drivers.
func (s *Server) providers(c echo.Context) error {
	who := callOf(c).who
	if err := s.authorize(who, "provider:get_all", who.ProjectID); err != nil {
		return err
	}
	out := []providerOut{}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.EnabledProviders)) {
		out = append(out, providerOut{name, s.cfg.EnabledProviders[name]})
	}
	return s.writeList(c, "providers", "", out, nil)
}

// checkProvider tests that a provider is enabled, and that it is this service.
func (c Config) checkProvider(name string) error {
	if _, ok := c.EnabledProviders[name]; !ok {
		return BadRequest(fmt.Sprintf("Provider '%s' is not enabled.", name))
	}
	if !slices.Contains([]string{providerAmphora, providerOctavia, providerV2}, name) {
		return &Fault{Status: http.StatusNotImplemented, Text: fmt.Sprintf("Provider '%s' was not found.", name)}
	}
	return nil
}

// unsupportedOption is a provider's 501 for something that amphorae cannot do.
func unsupportedOption(text string) *Fault {
	return &Fault{
		Status: http.StatusNotImplemented,
		Text:   "Provider 'amphora' does not support a requested option: " + text,
	}
}
