package config

import "strconv"

// Replicas is a number of copies; 0 is auto, which leaves it to what the servers allow.
type Replicas int

const auto = "auto"

// String is the number, or auto.
func (r Replicas) String() string {
	if r == 0 {
		return auto
	}
	return strconv.Itoa(int(r))
}
