package similarity_test

import (
	"fmt"

	"recstream/schemas"
	"recstream/scoring/similarity"
)

func Example() {
	x := similarity.New([]schemas.Item{
		{Title: "Alien", Year: 1979, Genres: []string{"Horror", "Science Fiction"}, Tags: []string{"Ridley Scott"}, Franchise: "Alien"},
		{Title: "Aliens", Year: 1986, Genres: []string{"Action", "Science Fiction"}, Tags: []string{"James Cameron"}, Franchise: "Alien"},
		{Title: "Blade Runner", Year: 1982, Genres: []string{"Science Fiction"}, Tags: []string{"Ridley Scott"}},
		{Title: "ALIEN (Director's Cut)", Year: 1979},
	})
	fmt.Printf("Alien and Aliens %.3f, Alien and Blade Runner %.3f\n", x.Similarity(0, 1), x.Similarity(0, 2))
	fmt.Println("nearly identical:", x.NearIdentical(0, 1, 0.95), x.NearIdentical(0, 3, 0.95))

	var taste similarity.Taste
	taste.Reset(x)
	taste.Add(0, 4) // watched to the end
	taste.Add(1, 1) // looked at
	fmt.Printf("Blade Runner to both %.3f\n", taste.Similarity(2))
	// Output:
	// Alien and Aliens 0.480, Alien and Blade Runner 0.624
	// nearly identical: false true
	// Blade Runner to both 0.582
}
