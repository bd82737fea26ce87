//! Stand-ins and fixtures.
