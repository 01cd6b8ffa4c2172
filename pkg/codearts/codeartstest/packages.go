package codeartstest

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

func packageHandlers() map[string]handler {
	return map[string]handler{
		"package_countdown": (*Fake).countdown,
		"package_status":    (*Fake).packageStatus,
	}
}

// Package is a bought package to add. It is in effect until Expires, then in grace, then frozen.
type Package struct {
	ResourceID  string
	ProjectID   string // the CodeArts project that may see it
	Name        string
	ServiceType string // "" is hws.service.type.codearts
	SpecCode    string // "" is codearts.china.enterprise
	RenewURL    string
	Expires     time.Time
	GraceDays   int // 0 is 15
}

const (
	inEffect = 2
	deleted  = 3
	inGrace  = 5
	frozen   = 99

	// deletionDays is how long a frozen package is kept.
	deletionDays = 60
	day          = 24 * time.Hour
)

// AddPackage adds a package, or replaces the one with its resource id.
func (f *Fake) AddPackage(p Package) {
	if p.ServiceType == "" {
		p.ServiceType = "hws.service.type.codearts"
	}
	if p.SpecCode == "" {
		p.SpecCode = "codearts.china.enterprise"
	}
	if p.RenewURL == "" {
		p.RenewURL = "https://codearts.example/renew/" + p.ResourceID
	}
	if p.GraceDays == 0 {
		p.GraceDays = 15
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, have := range f.packages {
		if have.ResourceID == p.ResourceID {
			f.packages[i] = &p
			return
		}
	}
	f.packages = append(f.packages, &p)
}

// SetPackageDays makes a package expire in so many days from now, less an hour, so that it reads as days; negative: it expired.
func (f *Fake) SetPackageDays(resourceID string, days int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.packages {
		if p.ResourceID == resourceID {
			p.Expires = f.now().Add(time.Duration(days)*day - time.Hour)
			return
		}
	}
	panic("codeartstest: there is no package " + resourceID)
}

// phase returns where a package stands, what comes next, and in how many days.
func (p *Package) phase(now time.Time) (status, next, days int) {
	freeze := p.Expires.Add(time.Duration(p.GraceDays) * day)
	switch {
	case now.Before(p.Expires):
		return inEffect, inGrace, daysUntil(p.Expires, now)
	case now.Before(freeze):
		return inGrace, frozen, daysUntil(freeze, now)
	}
	return frozen, deleted, max(0, daysUntil(freeze.Add(deletionDays*day), now))
}

func daysUntil(t, now time.Time) int { return int(math.Ceil(t.Sub(now).Hours() / 24)) }

// packageStatus is GET /v2/resource/package-spec/status.
func (f *Fake) packageStatus(r *request) reply {
	project, want := r.query.Get("project_id"), r.query.Get("status")
	code, ok := map[string]int{"normal": inEffect, "close": inGrace, "freeze": frozen}[want]
	if !ok || len(project) != 32 {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	now := f.now()
	list := []object{}
	for _, p := range f.packages {
		if status, _, _ := p.phase(now); status != code || p.ProjectID != project {
			continue
		}
		list = append(list, object{
			"resource_id": p.ResourceID, "region_id": f.opts.Region, "tenant_id": "d0000000000000000000000000000001", "tenant_name": Domain,
			"console_update_time": nil, "service_type": p.ServiceType, "resource_type": "hws.resource.type.codearts.combo", "spec_code": p.SpecCode,
			"resource_status": want, "create_time": p.Expires.AddDate(-1, 0, 0).UTC().Format(time.RFC3339), "update_time": nil,
		})
	}
	return built(list)
}

// countdown is POST /v2/resource/countdown.
func (f *Fake) countdown(r *request) reply {
	var q struct {
		ServiceType string  `json:"service_type"`
		ResourceID  string  `json:"resource_id"`
		ReminderDay *string `json:"reminder_day"` // a string; a number is refused
	}
	if json.Unmarshal(r.body, &q) != nil || q.ServiceType == "" {
		return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
	}
	reminder := 15
	if q.ReminderDay != nil {
		n, err := strconv.Atoi(*q.ReminderDay)
		if err != nil || n < -1 || n == 0 {
			return refuse(http.StatusBadRequest, "CB.00060200", "Invalid param")
		}
		reminder = n
	}
	now := f.now()
	list := []object{}
	for _, p := range f.packages {
		if p.ServiceType != q.ServiceType || q.ResourceID != "" && p.ResourceID != q.ResourceID {
			continue
		}
		status, next, days := p.phase(now)
		var tips any
		if reminder == -1 || days < reminder {
			tips = object{"summary": object{"status": status, "next_action": next, "next_action_remain_day": days, "next_action_url": p.RenewURL}}
		}
		list = append(list, object{
			"service_type": p.ServiceType, "resource_id": p.ResourceID, "resource_name": p.Name, "resource_type": "hws.resource.type.codearts.combo",
			"resource_spec_code": p.SpecCode, "tips": tips,
		})
		if q.ResourceID == "" {
			break // the main one
		}
	}
	return built(list)
}
