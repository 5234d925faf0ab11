package api

import "time"

// LookEvery sets how often the server looks for what other processes did to load balancers that requests wait for.
func (s *Server) LookEvery(d time.Duration) { s.watch.every = d }

// Waiting is how many requests wait for a load balancer, and whether somebody looks for them.
func (s *Server) Waiting() (requests int, looking bool) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return len(s.watch.waiting), s.watch.stop != nil
}
