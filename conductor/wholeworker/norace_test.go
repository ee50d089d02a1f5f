//go:build !race

package wholeworker

// raceDetector makes the program under test report data races, when the tests themselves do.
const raceDetector = false
