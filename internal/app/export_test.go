package app

import "time"

// ReplayStores are what a replay changes.
type ReplayStores = replayStores

// Wrap puts something between the archive's replays and the stores.
func (a *Archive) Wrap(wrap func(ReplayStores) ReplayStores) { a.stores = wrap(a.stores) }

// SetNow replaces the archive's clock.
func (a *Archive) SetNow(now func() time.Time) { a.now = now }

// JournalRemedy is what is said about a journal that cannot be opened.
func JournalRemedy(err error) string { return journalRemedy(err) }

// DiskOf is what the doctor sees of a folder's disk.
var DiskOf = diskOf

// ReadMonitoring is what the doctor shows of a page of monitoring; ok is false when it is none.
func ReadMonitoring(data []byte) (shown string, ok bool) {
	v, err := readVarz(data)
	if err != nil {
		return "", false
	}
	shown = v.Name + v.Version
	if c := v.JetStream.Config; c != nil {
		shown += c.StoreDir + v.every()
	}
	return shown, true
}
