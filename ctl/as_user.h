/*
 * as_user.h - what another user may do with a file.
 */
#ifndef CTL_AS_USER_H
#define CTL_AS_USER_H

/*
 * access(2) as `user` ("" or NULL: as we are) has it: 0, or why not (errno). -1: we can't
 * know (not root, or no such user).
 */
int as_user_access(const char *user, const char *path, int mode);

/* The name of the user's group ("" or NULL: ours), "root" if there is none; getgrgid(3)'s. */
const char *as_user_group(const char *user);

#endif
