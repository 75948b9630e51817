package logbook_test

import (
	"sync"
	"testing"

	"recstream/internal/logbook"
)

func TestBookIsReadWhileItIsWritten(t *testing.T) {
	var book logbook.Book
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			book.Logger().Info("here", "user", "ada")
			if book.Count("user=ada") == 0 {
				t.Error("what was written cannot be read")
			}
		})
	}
	writers.Wait()
	if book.Count("msg=here") != 4 {
		t.Errorf("log:\n%s", &book)
	}
}
