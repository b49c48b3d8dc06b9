//! A saved mapping: how the columns of a file become metric values.
