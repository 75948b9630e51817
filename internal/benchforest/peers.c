//go:build peers

#define _GNU_SOURCE
#include "peers.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stddef.h>
#include <string.h>

// From LightGBM's c_api.h.
enum { FLOAT64 = 1, RAW_SCORE = 1, CONTRIBUTIONS = 3, ALL_TREES = -1, ROW_MAJOR = 1 };
static const char *const PARAMETERS = "num_threads=1";

static struct {
	const char *(*last_error)(void);
	int (*load)(const char *file, int *iterations, void **booster);
	int (*free)(void *booster);
	int (*single_init)(void *booster, int predict, int start, int iterations, int type, int32_t columns,
	                   const char *parameters, void **config);
	int (*single)(void *config, const void *row, int64_t *length, double *out);
	int (*single_free)(void *config);
	int (*batch)(void *booster, const void *rows, int type, int32_t n, int32_t columns, int row_major, int predict,
	             int start, int iterations, const char *parameters, int64_t *length, double *out);
} api;

const char *lightgbm_open(const char *library) {
	void *l = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (l == NULL) {
		return dlerror();
	}
	*(void **)&api.last_error = dlsym(l, "LGBM_GetLastError");
	*(void **)&api.load = dlsym(l, "LGBM_BoosterCreateFromModelfile");
	*(void **)&api.free = dlsym(l, "LGBM_BoosterFree");
	*(void **)&api.single_init = dlsym(l, "LGBM_BoosterPredictForMatSingleRowFastInit");
	*(void **)&api.single = dlsym(l, "LGBM_BoosterPredictForMatSingleRowFast");
	*(void **)&api.single_free = dlsym(l, "LGBM_FastConfigFree");
	*(void **)&api.batch = dlsym(l, "LGBM_BoosterPredictForMat");
	if (!api.last_error || !api.load || !api.free || !api.single_init || !api.single || !api.single_free || !api.batch) {
		return "this is no LightGBM library of version 3 or later";
	}
	return NULL;
}

// said is the text for what a function returned.
static const char *said(int status) { return status == 0 ? NULL : api.last_error(); }

const char *lightgbm_load(lightgbm *m, const char *model) {
	int iterations;
	if (api.load(model, &iterations, &m->booster) != 0 ||
	    api.single_init(m->booster, RAW_SCORE, 0, ALL_TREES, FLOAT64, ROW_WIDTH, PARAMETERS, &m->single) != 0) {
		return api.last_error();
	}
	return said(api.single_init(m->booster, CONTRIBUTIONS, 0, ALL_TREES, FLOAT64, ROW_WIDTH, PARAMETERS, &m->explain));
}

void lightgbm_free(lightgbm *m) {
	api.single_free(m->explain);
	api.single_free(m->single);
	api.free(m->booster);
}

// put_item copies an item's features behind those of the request.
static void put_item(double *row, candidates c, int i) {
	memcpy(row + REQUEST_WIDTH, c.items + (size_t)c.ids[i] * ITEM_WIDTH, ITEM_WIDTH * sizeof(double));
}

// put_request copies the features of the request.
static void put_request(double *row, candidates c) { memcpy(row, c.request, REQUEST_WIDTH * sizeof(double)); }

// put_all makes the rows of all candidates.
static void put_all(double *rows, candidates c) {
	for (int i = 0; i < c.n; i++, rows += ROW_WIDTH) {
		put_request(rows, c);
		put_item(rows, c, i);
	}
}

const char *lightgbm_single(const lightgbm *m, candidates c) {
	double row[ROW_WIDTH];
	int64_t length;
	put_request(row, c);
	for (int i = 0; i < c.n; i++) {
		put_item(row, c, i);
		if (api.single(m->single, row, &length, &c.out[i]) != 0) {
			return api.last_error();
		}
	}
	return NULL;
}

const char *lightgbm_batch(const lightgbm *m, candidates c, double *rows) {
	int64_t length;
	put_all(rows, c);
	return said(api.batch(m->booster, rows, FLOAT64, c.n, ROW_WIDTH, ROW_MAJOR, RAW_SCORE, 0, ALL_TREES, PARAMETERS,
	                      &length, c.out));
}

const char *lightgbm_explain(const lightgbm *m, const double *row, double *out) {
	int64_t length;
	return said(api.single(m->explain, row, &length, out));
}

const char *compiled_open(compiled *m, const char *library, const char *function) {
	m->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (m->library == NULL) {
		return dlerror();
	}
	*(void **)&m->predict = dlsym(m->library, function);
	if (m->predict == NULL) {
		dlclose(m->library);
		return "the library lacks its function";
	}
	return NULL;
}

void compiled_close(compiled *m) { dlclose(m->library); }

// lleaves's function takes rows, scores, and the first row and the end.
void lleaves_score(const compiled *m, candidates c, double *rows) {
	put_all(rows, c);
	((void (*)(double *, double *, int32_t, int32_t))m->predict)(rows, c.out, 0, c.n);
}

// TL2cgen's function takes a row, which missing values would be marked in, whether the raw score is wanted, and
// the score, to which it adds.
void tl2cgen_score(const compiled *m, candidates c) {
	double row[ROW_WIDTH];
	put_request(row, c);
	for (int i = 0; i < c.n; i++) {
		put_item(row, c, i);
		c.out[i] = 0;
		((void (*)(double *, int, double *))m->predict)(row, 1, &c.out[i]);
	}
}

int64_t bytes_in_use(void) {
	struct mallinfo2 m = mallinfo2();
	return (int64_t)(m.uordblks + m.hblkhd);
}
