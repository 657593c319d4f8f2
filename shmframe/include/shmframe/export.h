/* Marks for the library's public symbols; nothing here to call. */
#ifndef SHMFRAME_EXPORT_H
#define SHMFRAME_EXPORT_H

#define SHMFRAME_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define SHMFRAME_BEGIN extern "C" {
#define SHMFRAME_END }
#else
#define SHMFRAME_BEGIN
#define SHMFRAME_END
#endif

#endif
