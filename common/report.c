#include "report.h"
#include "program.h"
#include "progress.h"

#include <stdio.h>
#include <string.h>

enum report_format report_format_parse(const char *text) {
    if (strcmp(text, "text") == 0)
        return REPORT_TEXT;
    if (strcmp(text, "json") == 0)
        return REPORT_JSON;
    program_fail_usage("--format: \"%s\" should be text or json", text);
}

_Noreturn static void fail_output(void) {
    program_fail("the report cannot be written to standard output: %m");
}

void report_print_json(json_t *object) {
    progress_clear();
    const int result = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(object);
    if (result < 0 || putchar('\n') == EOF)
        fail_output();
    report_flush();
}

void report_flush(void) {
    if (fflush(stdout) == EOF || ferror(stdout))
        fail_output();
}
