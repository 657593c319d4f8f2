/* Memory: the allocations of the product, counted until they are freed, whoever frees them. */
#include "meet.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own, since dlsym() allocates. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *memory, size_t bytes);
extern void __libc_free(void *memory);

enum { ROOM = 1 << 16 };
static uintptr_t known[ROOM]; /* 0: unused, 1: was used */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static unsigned place_of(uintptr_t memory) {
    return (unsigned)(memory >> 4) * 2654435761u % ROOM;
}

static void *remember(void *memory, const void *caller) {
    if (!memory || !fault_page() || !fault_is_ours(caller))
        return memory;
    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < ROOM; i++) {
        uintptr_t *place = &known[(place_of((uintptr_t)memory) + i) % ROOM];
        if (*place > 1)
            continue;
        *place = (uintptr_t)memory;
        atomic_fetch_add(&fault_page()->allocations, 1);
        break;
    }
    pthread_mutex_unlock(&mutex);
    return memory;
}

static bool forget(void *memory) {
    bool is_found = false;
    if (!memory || !fault_page())
        return false;
    pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < ROOM && !is_found; i++) {
        uintptr_t *place = &known[(place_of((uintptr_t)memory) + i) % ROOM];
        if (*place == 0)
            break;
        is_found = *place == (uintptr_t)memory;
        if (is_found)
            *place = 1;
    }
    if (is_found)
        atomic_fetch_sub(&fault_page()->allocations, 1);
    pthread_mutex_unlock(&mutex);
    return is_found;
}

void *malloc(size_t bytes) {
    FAIL_IF_MET(malloc, NULL);
    return remember(__libc_malloc(bytes), CALLER);
}

void *calloc(size_t count, size_t bytes) {
    FAIL_IF_MET(calloc, NULL);
    return remember(__libc_calloc(count, bytes), CALLER);
}

void free(void *memory) {
    const int code = errno;
    forget(memory);
    __libc_free(memory);
    errno = code;
}

/* What was known stays so, wherever it lies after that. */
static void *resize(void *memory, size_t bytes, const void *caller) {
    const bool was_known = forget(memory);
    void *resized = __libc_realloc(memory, bytes);
    if (!resized && bytes)
        return was_known ? (remember(memory, caller), NULL) : NULL;
    return remember(resized, caller);
}

void *realloc(void *memory, size_t bytes) {
    FAIL_IF_MET(realloc, NULL);
    return resize(memory, bytes, CALLER);
}

void *reallocarray(void *memory, size_t count, size_t bytes) {
    size_t all;
    FAIL_IF_MET(reallocarray, NULL);
    if (__builtin_mul_overflow(count, bytes, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(memory, all, CALLER);
}

static char *copy(const char *text, size_t length, const void *caller) {
    char *made = remember(__libc_malloc(length + 1), caller);
    if (made) {
        memcpy(made, text, length);
        made[length] = '\0';
    }
    return made;
}

char *strdup(const char *text) {
    FAIL_IF_MET(strdup, NULL);
    return copy(text, strlen(text), CALLER);
}

char *strndup(const char *text, size_t limit) {
    FAIL_IF_MET(strndup, NULL);
    return copy(text, strnlen(text, limit), CALLER);
}

static int print(char **out_text, const char *format, va_list values, const void *caller) {
    va_list again;
    va_copy(again, values);
    const int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    *out_text = length < 0 ? NULL : remember(__libc_malloc((size_t)length + 1), caller);
    return *out_text ? vsnprintf(*out_text, (size_t)length + 1, format, values) : -1;
}

int vasprintf(char **out_text, const char *format, va_list values) {
    FAIL_IF_MET(vasprintf, -1);
    return print(out_text, format, values, CALLER);
}

int asprintf(char **out_text, const char *format, ...) {
    FAIL_IF_MET(asprintf, -1);
    va_list values;
    va_start(values, format);
    const int length = print(out_text, format, values, CALLER);
    va_end(values);
    return length;
}
