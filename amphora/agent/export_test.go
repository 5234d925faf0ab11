package agent

import "github.com/ottavino/ottavino/amphora/heartbeat"

// MeasureUDP is what a heartbeat would tell of UDP listeners at this moment.
func (a *Agent) MeasureUDP() heartbeat.Message {
	m := heartbeat.Message{Listeners: map[string]heartbeat.Listener{}, Pools: map[string]heartbeat.Pool{}}
	a.measureUDP(m)
	return m
}
