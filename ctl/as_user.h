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

#endif
