package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"recstream/schemas"
)

func ExampleDecodeRequest() {
	var request schemas.Request
	err := schemas.DecodeRequest([]byte(`{"request_id":"req-1","mood":"funny","group_size":"couple"}`), &request)
	fmt.Println(request.RequestID, request.Mood, request.GroupSize, request.Limit, err)
	// Output: req-1 funny couple 3 <nil>
}

// A refused event still says whom to tell.
func ExampleDecodeError() {
	var request schemas.Request
	err := schemas.DecodeRequest([]byte(`{"candidates":["film-1",2],"request_id":"req-1"}`), &request)
	var refusal *schemas.DecodeError
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Code, refusal.Field)
	}
	fmt.Println(request.RequestID)
	// Output:
	// wrong_type candidates[1]
	// req-1
}

func ExampleDecodeFeedback() {
	var feedback schemas.Feedback
	err := schemas.DecodeFeedback([]byte(`{"request_id":"req-1","item_id":"film-7","action":"rating","value":4.5}`), &feedback)
	fmt.Println(feedback.ItemID, feedback.Action, feedback.Value, err)
	// Output: film-7 rating 4.5 <nil>
}

func ExampleAppendRequest() {
	request := schemas.Request{RequestID: "req-1", UserID: "user-42", Limit: 5, Diversity: math.NaN()}
	request.Mood = schemas.MoodRelaxing
	fmt.Printf("%s\n", schemas.AppendRequest(nil, &request))
	// Output: {"request_id":"req-1","user_id":"user-42","mood":"relaxing","limit":5}
}

func ExampleAppendFeedback() {
	feedback := schemas.Feedback{RequestID: "req-1", ItemID: "film-7", Action: schemas.ActionPlay, Value: math.NaN()}
	fmt.Printf("%s\n", schemas.AppendFeedback(nil, &feedback))
	// Output: {"request_id":"req-1","item_id":"film-7","action":"play"}
}

// What recstream writes is read with encoding/json.
func ExampleAppendResult() {
	event := schemas.AppendResult(nil, &schemas.Decision{
		RequestID: "req-1", Tier: schemas.TierPopular, Degraded: []schemas.Reason{schemas.ReasonModelMissing},
		Items:    []schemas.ScoredItem{{ItemID: "film-7", Title: "Heat", Prediction: math.NaN(), Score: 180}},
		ScoredAt: time.Date(2026, 1, 31, 19, 30, 0, 0, time.UTC),
	})
	var result schemas.Result
	err := json.Unmarshal(event, &result)
	fmt.Println(result.Status, result.Tier, result.Degraded, result.Items[0].Title, err)
	// Output: ok popular [model_missing] Heat <nil>
}

func ExampleAppendRejection() {
	rejection := schemas.Rejection{
		Code: schemas.CodeOutOfRange, Field: "limit", Detail: "must be from 1 to 100", RequestID: "req-1",
	}
	source := schemas.Source{Topic: "recommendation.requests", Partition: 4, Offset: 17}
	var result schemas.Result
	err := json.Unmarshal(schemas.AppendRejection(nil, &rejection, source), &result)
	fmt.Println(result.Status, result.Error.Code, result.Error.Field, result.Source.Offset, err)
	// Output: rejected out_of_range limit 17 <nil>
}

func ExampleAppendResultID() {
	source := schemas.Source{Topic: "recommendation.requests", Partition: 4, Offset: 17}
	fmt.Printf("%s\n", schemas.AppendResultID(nil, "req-1", source))
	// Output: req-1@recommendation.requests/4/17
}

func ExampleDocument() {
	text, err := schemas.Document("request")
	if err != nil {
		fmt.Println(err)
		return
	}
	var schema struct{ Title string }
	err = json.Unmarshal(text, &schema)
	fmt.Println(schemas.Documents(), schema.Title, err)
	// Output: [asyncapi dead-letter feedback request result] recommendation.request.v1 <nil>
}
