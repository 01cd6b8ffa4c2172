package codearts

import (
	"fmt"
	"iter"
)

const (
	// pageSize is the largest page Build and Repo give out.
	pageSize = 100
	// maxPages bounds a listing; one that is longer fails, it is not cut.
	maxPages = 1000
)

// pages is the sequence of the items of all pages. fetch gets a page by its number from 0 and says whether there may be more; an empty page is the
// last one. same tells two items apart: a server that does not know pages sends the first one again, and that ends the listing.
func pages[T any](op *Operation, fetch func(page int) (items []*T, more bool, err error), same func(a, b *T) bool) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		var first *T
		for page := range maxPages {
			items, more, err := fetch(page)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(items) == 0 || items[0] == nil || first != nil && same(first, items[0]) {
				return
			}
			first = items[0]
			for _, item := range items {
				if item != nil && !yield(item, nil) {
					return
				}
			}
			if !more {
				return
			}
		}
		e := newError(op)
		e.Err, e.class = fmt.Errorf("the list has more than %d pages", maxPages), classSize
		yield(nil, e)
	}
}
