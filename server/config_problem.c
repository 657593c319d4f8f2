#include "config_problem.h"

#include <stdarg.h>
#include <stdlib.h>

/* A file with more is no pipeline, and its owner has enough to do. */
enum { PROBLEMS_MAX = 200 };

void config_problem_add(struct config_problems *problems, unsigned line, const char *text, ...) {
    if (problems->count == PROBLEMS_MAX) {
        problems->is_cut = true;
        return;
    }
    struct config_problem problem = {.line = line};
    va_list arguments;
    va_start(arguments, text);
    const int length = vasprintf(&problem.text, text, arguments);
    va_end(arguments);
    if (length < 0) {
        problems->is_out_of_memory = true;
        return;
    }
    if (!config_grow((void **)&problems->problem, problems->count, sizeof(problem), problems)) {
        free(problem.text);
        return;
    }
    /* In the order of their lines, and of one line in the order in which they were found. */
    size_t place = problems->count++;
    for (; place > 0 && problems->problem[place - 1].line > line; place--)
        problems->problem[place] = problems->problem[place - 1];
    problems->problem[place] = problem;
}

void config_problems_destroy(struct config_problems *problems) {
    for (size_t i = 0; i < problems->count; i++)
        free(problems->problem[i].text);
    free(problems->problem);
    *problems = (struct config_problems){0};
}

void config_problems_print(const struct config_problems *problems, const char *path, FILE *file) {
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->problem[i];
        if (problem->line)
            fprintf(file, "%s:%u: %s\n", path, problem->line, problem->text);
        else
            fprintf(file, "shmframed: %s: %s\n", path, problem->text);
    }
    if (problems->is_cut)
        fprintf(file, "%s: there are more mistakes than these %zu\n", path, problems->count);
}

bool config_grow(void **array, size_t count, size_t item_bytes, struct config_problems *problems) {
    /* Full when the count is a power of two. */
    if (count & (count - 1))
        return true;
    void *grown = reallocarray(*array, count ? 2 * count : 1, item_bytes);
    if (!grown) {
        problems->is_out_of_memory = true;
        return false;
    }
    *array = grown;
    return true;
}
