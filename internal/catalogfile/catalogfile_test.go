package catalogfile

import (
	"os"
	"strings"
	"testing"

	"recstream/schemas"
)

func TestReadDemoCatalog(t *testing.T) {
	file, err := os.Open("../demo/data/catalog.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	items, problems, err := Read(file, CSV)
	if err != nil || len(problems) > 0 {
		t.Fatalf("error %v, problems %v", err, problems)
	}
	if len(items) < 3000 {
		t.Errorf("read %d items, want at least 3000", len(items))
	}
}

func TestReadSameItemFromBothFormats(t *testing.T) {
	files := map[Format]string{
		CSV: "id,title,genres,duration_min,year,popularity,added_at,expires_at,hidden,suitability,franchise,tags\n" +
			`a,"A, the film",Comedy|Science Fiction,90.5,1999,12,2026-01-31T20:15:00Z,,true,solo|group,The As,Ada Lovelace|noir` + "\n",
		JSONLines: `{"id":"a","title":"A, the film","genres":["Comedy","Science Fiction"],"duration_min":90.5,"year":1999,` +
			`"popularity":12,"added_at":"2026-01-31T20:15:00Z","hidden":true,"suitability":["solo","group"],"franchise":"The As","tags":["Ada Lovelace","noir"]}` + "\n\n",
	}
	for format, text := range files {
		t.Run(string(format), func(t *testing.T) {
			items, problems, err := Read(strings.NewReader(text), format)
			if err != nil || len(problems) > 0 || len(items) != 1 {
				t.Fatalf("items %v, problems %v, error %v", items, problems, err)
			}
			it := items[0]
			if it.ID != "a" || it.Title != "A, the film" || strings.Join(it.Genres, "|") != "Comedy|Science Fiction" ||
				it.DurationMin != 90.5 || it.Year != 1999 || it.Popularity != 12 || !it.Hidden || it.Franchise != "The As" ||
				strings.Join(it.Tags, "|") != "Ada Lovelace|noir" ||
				len(it.Suitability) != 2 || it.Suitability[1] != schemas.GroupGroup || it.AddedAt.Year() != 2026 || !it.ExpiresAt.IsZero() {
				t.Errorf("read %+v", it)
			}
		})
	}
}

func TestProblemsNameLineAndField(t *testing.T) {
	tests := map[string]struct {
		format Format
		text   string
		want   string
	}{
		"no id":            {CSV, "id,title\n,B\n", "line 2: id: is missing"},
		"long id":          {CSV, "id,title\n" + strings.Repeat("x", 129) + ",B\n", "line 2: id: has 129 bytes, at most 128 are allowed"},
		"same id":          {CSV, "id,title\na,A\nb,B\na,C\n", `line 4: id: "a" stands in line 2 already`},
		"cells":            {CSV, "id,title\na\n", "line 2: has 1 cells, the header has 2"},
		"quotes":           {CSV, "id,title\na,\"b\" c\nd,D\n", `line 2: extraneous or missing " in quoted-field`},
		"quote inside":     {CSV, "id,title\n0\"0", `line 2: bare " in non-quoted-field`},
		"number":           {CSV, "id,title,year\na,A,x\n", `line 2: year: "x" is not a whole number`},
		"negative":         {CSV, "id,title,duration_min\na,A,-1\n", "line 2: duration_min: -1 is not a number from 0 up"},
		"not finite":       {CSV, "id,title,popularity\na,A,NaN\n", "line 2: popularity: NaN is not a number from 0 up"},
		"time":             {CSV, "id,title,expires_at\na,A,tomorrow\n", `line 2: expires_at: "tomorrow" is not an RFC 3339 time such as 2026-01-31T20:15:00Z`},
		"flag":             {CSV, "id,title,hidden\na,A,yes\n", `line 2: hidden: "yes" is neither true nor false`},
		"suitability":      {CSV, "id,title,suitability\na,A,solo|dog\n", `line 2: suitability: "dog" is none of solo, couple, group`},
		"encoding":         {CSV, "id,title\na,\xff\n", "line 2: title: is not valid UTF-8"},
		"unknown field":    {JSONLines, "{\"id\":\"a\",\"titel\":\"A\"}\n", `line 1: json: unknown field "titel"`},
		"two values":       {JSONLines, "{\"id\":\"a\",\"title\":\"A\"} {}\n", "line 1: has more than one JSON value"},
		"empty tag":        {CSV, "id,title,tags\na,A,noir|\n", "line 2: tags: an entry is missing"},
		"tag's type":       {JSONLines, "{\"id\":\"a\",\"title\":\"A\",\"tags\":\"noir\"}\n", "line 1: json: cannot unmarshal string into Go struct field record.tags of type []string"},
		"empty genre name": {JSONLines, "\n{\"id\":\"a\",\"title\":\"A\",\"genres\":[\"\"]}\n", "line 2: genres: an entry is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, problems, err := Read(strings.NewReader(test.text), test.format)
			if err != nil {
				t.Fatal(err)
			}
			if len(problems) != 1 || problems[0].Error() != test.want {
				t.Errorf("problems %v, want %s", problems, test.want)
			}
		})
	}
}

func TestWholeFileErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"empty":          {"", "the file is empty"},
		"unknown column": {"id,title,colour\n", `column "colour" is not known`},
		"twice":          {"id,title,id\n", `column "id" is there twice`},
		"no title":       {"id,year\n", `column "title" is missing`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := Read(strings.NewReader(test.text), CSV)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("id,title\na,A\n"), true)
	f.Add([]byte(`{"id":"a","title":"A"}`), false)
	f.Fuzz(func(t *testing.T, text []byte, asCSV bool) {
		format := JSONLines
		if asCSV {
			format = CSV
		}
		items, _, _ := Read(strings.NewReader(string(text)), format)
		for _, it := range items {
			if it.ID == "" || it.Title == "" || it.DurationMin < 0 {
				t.Errorf("accepted %+v", it)
			}
		}
	})
}
