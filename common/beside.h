/* The other programs of the project, wherever this one lies. */
#ifndef COMMON_BESIDE_H
#define COMMON_BESIDE_H

/* Becomes the program `name`: that in the same folder, in a build in one of its neighbours, or in
 * PATH. Returns only if there is none, with errno set. */
void beside_execute(const char *name, char *const *argv);

#endif
