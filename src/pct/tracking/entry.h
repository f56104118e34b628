// What Python calls.
#define EXPORTED __attribute__((visibility("default")))

extern "C" EXPORTED int64_t pct_tracker_size() { return sizeof(Tracker); }
extern "C" EXPORTED int64_t pct_settings_size() { return sizeof(Settings); }
extern "C" EXPORTED int64_t pct_estimate_size() { return sizeof(Estimate); }
extern "C" EXPORTED int64_t pct_slots() { return SLOTS; }

extern "C" EXPORTED void pct_begin(Tracker* self, const Settings* set) {
  memset(self, 0, sizeof *self);
  self->set = *set;
}

extern "C" EXPORTED void pct_update(Tracker* self, double t, const double* y, const double* u, Estimate* out) {
  update(self, t, y, u, out);
  look_ahead(self);
}

// All rows of a drive; what the smoother reads of each hypothesis is written where `labels` is not null.
extern "C" EXPORTED void pct_track(Tracker* self, int64_t rows, const double* t, const double* y, const double* u, Estimate* out,
                                   int64_t* labels, int32_t* which, double* weights, double* means, double* covariances) {
  for (int64_t row = 0; row < rows; row++) {
    update(self, t[row], y + row * SHOWN, u + row * CONTROLS, out + row);
    for (int n = 0; labels && n < SLOTS; n++) {
      const Hypothesis& own = self->all[n];
      const int64_t at = row * SLOTS + n;
      labels[at] = own.alive ? own.label : -2;
      which[at] = own.which;
      weights[at] = own.alive ? exp(own.weight) : 0;
      for (int i = 0; i < VARY; i++) {
        means[at * VARY + i] = own.z[F + i];
        for (int j = 0; j < VARY; j++) covariances[(at * VARY + i) * VARY + j] = own.P[(F + i) * N + F + j];
      }
    }
    look_ahead(self);
  }
}
