//! Pure placement: filters, scores and strategies. Depends on nothing local, does no IO.
