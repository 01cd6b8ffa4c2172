// Package millrace is the root of the Millrace repository. It holds no code: the commands are in cmd, the packages in pkg and
// internal, and the tests here keep the layout as docs/architecture.md tells it.
package millrace
