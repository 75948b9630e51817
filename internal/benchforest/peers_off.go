//go:build !peers

package main

// Programs without cgo cannot call the peers written in C.

// peers are the contenders written in C: none.
func peers(places) (list []contender, missing []string) {
	const why = ": this program was built without the tag peers"
	return nil, []string{peerLightGBM + why, peerLleaves + why, peerTL2cgen + why}
}

// loadPeerExplainer would explain with LightGBM.
func loadPeerExplainer(places, *model) (explainer, error) { return nil, nil }
