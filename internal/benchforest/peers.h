// The peers of the benchmark that are written in C, called through what dlopen finds. Functions that can fail
// return NULL or a text, which stays valid until the next call. One thread at a time may call them.
#include <stdint.h>

enum { REQUEST_WIDTH = 20, ITEM_WIDTH = 20, ROW_WIDTH = REQUEST_WIDTH + ITEM_WIDTH };

// candidates are the items that one request asks for, and where the scores go.
typedef struct {
	const double *request; // REQUEST_WIDTH values
	const double *items;   // the catalogue, ITEM_WIDTH values each
	const int32_t *ids;
	int n;
	double *out;
} candidates;

// A model in LightGBM's library.
typedef struct {
	void *booster;
	void *single;  // how to score one row
	void *explain; // how to explain one row
} lightgbm;

const char *lightgbm_open(const char *library);
const char *lightgbm_load(lightgbm *m, const char *model);
const char *lightgbm_single(const lightgbm *m, candidates c);
const char *lightgbm_batch(const lightgbm *m, candidates c, double *rows);
const char *lightgbm_explain(const lightgbm *m, const double *row, double *out);
void lightgbm_free(lightgbm *m);

// A model compiled to a shared library. Its functions are void (*)(): their types differ by compiler.
typedef void (*compiled_function)(void);
typedef struct {
	void *library;
	compiled_function predict;
} compiled;

const char *compiled_open(compiled *m, const char *library, const char *function);
void lleaves_score(const compiled *m, candidates c, double *rows);
void tl2cgen_score(const compiled *m, candidates c);
void compiled_close(compiled *m);

// bytes_in_use is what malloc has given out.
int64_t bytes_in_use(void);
