/* The filter of `pct.tracking`, in C99 that a C++ compiler takes, too. The model's own functions and sizes stand before.
 *
 * A hypothesis says when which parameter changed last. It holds a Gaussian of the filtered states, the varying and the
 * held parameters, side by side in z; the held ones are carried with their uncertainty and never moved (Schmidt).
 */

/* Numbers of a call that no equation holds. */
typedef struct {
    double params[PARAMS + 1];
    double tableau[STAGES * STAGES];
    double longest;            /* s, longest integration step */
    double reading[READ];      /* variance of each reading */
    double process[F];         /* variance of each filtered state a second */
    double first[F];           /* variance at the start */
    double share[F];           /* of the logged value that a hidden state begins with */
    double prior_mean[V_OR_1], prior_var[V_OR_1], low[V_OR_1], high[V_OR_1];
    double wander[V_OR_1];     /* variance a second */
    double held_mean[H_OR_1], held_cov[H_OR_1 * H_OR_1];
    double jumps;              /* changes a second, all parameters together */
    double huber;              /* deviations beyond which an error counts linearly */
    double spacing, grace;     /* s between changes that are tried, s that each is kept */
    double recent;             /* s, a change since then is a recent one */
    double longest_gap;        /* s, after a longer one the states begin anew */
} Settings;

typedef struct {
    double z[N], P[N * N];
    double weight;             /* logarithm; all of them sum up to one */
    double born;               /* s */
    int64_t label;             /* rows that were read when it was born; -1: the start */
    int32_t which, alive;      /* parameter that changed */
} Hypothesis;

/* What a car can know after a row. */
typedef struct {
    double middle[V_OR_1], low[V_OR_1], high[V_OR_1];  /* median and ends of the 95 % band */
    double mean[V_OR_1], deviation[V_OR_1];
    double recent[V_OR_1];     /* probability of a recent change */
    double told[V_OR_1];       /* 1: a change would be known now; 0: the drive tells nothing */
    double likelihood;         /* logarithm, of the row given all rows before */
} Estimate;

typedef struct {
    Settings set;
    Hypothesis all[SLOTS];
    double t, last_birth;
    int64_t rows;
    int32_t begun, turn;
} Tracker;

static double squared(double x) { return x * x; }

static double turned(double angle) {
    const double turn = 6.283185307179586;
    return angle - turn * floor(angle / turn + 0.5);
}

static double bounded(const Settings *set, int i, double value) {
    return value < set->low[i] ? set->low[i] : value > set->high[i] ? set->high[i] : value;
}

/* The parameters of a hypothesis; `slope` is the change of each with its entry of z. */
static void values_of(const Settings *set, const double *z, double *p, double *slope) {
    int i;
    for (i = 0; i <= PARAMS; i++) p[i] = set->params[i];
    for (i = 0; i < PARTS; i++) {
        const double own = z[F + OWNER[i]], value = LOGARITHMIC[OWNER[i]] ? exp(own) : own;
        const double unit = POWER[i] ? set->params[ENTRY[i]] : 1.0;
        p[ENTRY[i]] = POWER[i] < 0 ? unit / value : unit * value;
        slope[i] = POWER[i] < 0 ? -unit / (value * value) : unit;
        if (LOGARITHMIC[OWNER[i]]) slope[i] *= value;
    }
}

/* States a step later, and their change with z: d is (F, N). */
static void roll(const Settings *set, const double *z, const double *u, double dt, double *x_out, double *d) {
    double p[PARAMS + 1], slope[PARTS + 1], w[W_OR_1], c[STEP_OR_1], a[SLOPES_OR_1];
    double x[STATES], y[STATES], k[STAGES][F], y_d[F * N], dk[STAGES][F * N];
    int i, j, s, r, part;
    const int parts = dt > set->longest ? (int)ceil(dt / set->longest - 1e-9) : 1;
    const double h = dt / parts;
    values_of(set, z, p, slope);
    p[PARAMS] = h;
    window_values(p, w);
    step_values(w, u, c);
    for (i = 0; i < STATES; i++) x[i] = 0.0;
    for (i = 0; i < F; i++) x[FILTERED[i]] = z[i];
    for (i = 0; i < F * N; i++) d[i] = 0.0;
    for (i = 0; i < F; i++) d[i * N + i] = 1.0;
    for (part = 0; part < parts; part++) {
        for (i = 0; i < STATES; i++) y[i] = x[i];
        for (i = 0; i < F * N; i++) y_d[i] = d[i];
        for (s = 0; s < STAGES; s++) {
            rates_by_all(w, c, y, k[s], a);
            for (i = 0; i < F * N; i++) dk[s][i] = 0.0;
            push(a, slope, y_d, dk[s]);
            for (i = 0; i < F; i++) y[FILTERED[i]] = x[FILTERED[i]];
            for (i = 0; i < F * N; i++) y_d[i] = d[i];
            for (r = 0; r <= s; r++) {
                const double weight = h * set->tableau[s * STAGES + r];
                if (weight == 0.0) continue;
                for (i = 0; i < F; i++) y[FILTERED[i]] += weight * k[r][i];
                for (i = 0; i < F * N; i++) y_d[i] += weight * dk[r][i];
            }
        }
        for (i = 0; i < F; i++) x[FILTERED[i]] = y[FILTERED[i]];
        for (i = 0; i < F * N; i++) d[i] = y_d[i];
    }
    for (j = 0; j < JUMPS; j++) x[JUMP_STATE[j]] += dt * u[JUMP_CONTROL[j]];
    for (i = 0; i < F; i++) x_out[i] = x[FILTERED[i]];
}

static void predict(const Settings *set, Hypothesis *own, const double *u, double dt) {
    double x[F], d[F * N], half[F * N];
    int i, j, k;
    roll(set, own->z, u, dt, x, d);
    for (i = 0; i < F; i++) own->z[i] = x[i];
    for (i = 0; i < F; i++) {
        double *const row = half + i * N;
        for (j = 0; j < N; j++) row[j] = 0.0;
        for (k = 0; k < N; k++) {
            const double by = d[i * N + k], *const P = own->P + k * N;
            for (j = 0; j < N; j++) row[j] += by * P[j];
        }
    }
    for (i = 0; i < F; i++) {
        for (j = F; j < N; j++) own->P[i * N + j] = own->P[j * N + i] = half[i * N + j];
        for (j = 0; j <= i; j++) {
            double sum = 0.0;
            for (k = 0; k < N; k++) sum += half[i * N + k] * d[j * N + k];
            own->P[i * N + j] = own->P[j * N + i] = sum;
        }
        own->P[i * N + i] += set->process[i] * dt;
    }
    for (i = 0; i < VARY; i++) own->P[(F + i) * (N + 1)] += set->wander[i] * dt;
}

/* Move a hypothesis by what is read; the logarithm of its likelihood. Readings that are NaN are not there. */
static double correct(const Settings *set, Hypothesis *own, const double *y) {
    double sum = 0.0, gain[N], row[N];
    int i, j, k;
    for (i = 0; i < READ; i++) {
        const double read = y[READ_STATE[i]];
        double error, spread, size;
        if (isnan(read)) continue;
        error = READ_ANGLE[i] ? turned(read - own->z[i]) : read - own->z[i];
        spread = own->P[i * (N + 1)] + set->reading[i];
        size = fabs(error) / sqrt(spread);
        sum -= 0.5 * log(6.283185307179586 * spread);
        if (size <= set->huber) {
            sum -= 0.5 * size * size;
        } else {
            /* An error of what is read alone. */
            sum -= set->huber * (size - 0.5 * set->huber);
            spread *= size / set->huber;
        }
        for (j = 0; j < N; j++) row[j] = own->P[i * N + j];
        for (j = 0; j < MOVED; j++) gain[j] = row[j] / spread;
        for (; j < N; j++) gain[j] = 0.0;
        for (j = 0; j < MOVED; j++) own->z[j] += gain[j] * error;
        for (j = 0; j < MOVED; j++)
            for (k = 0; k < N; k++) own->P[j * N + k] -= gain[j] * row[k];
        for (j = MOVED; j < N; j++)
            for (k = 0; k < MOVED; k++) own->P[j * N + k] = own->P[k * N + j];
    }
    for (i = 0; i < VARY; i++) own->z[F + i] = bounded(set, i, own->z[F + i]);
    return sum;
}

/* The start: what is logged is true within its noise, nothing else is known. */
static void begin(Tracker *self, const double *y, const double *u, int keep) {
    const Settings *const set = &self->set;
    int i, j, n;
    for (n = 0; n < SLOTS; n++) {
        Hypothesis *const own = self->all + n;
        if (!keep) own->alive = n == 0;
        if (!own->alive) continue;
        for (i = 0; i < F; i++) {
            const int place = SHARED_CHANNEL[i];
            double logged = i < READ ? y[READ_STATE[i]] : place < 0 ? 0.0 : set->share[i] * (place < SHOWN ? y[place] : u[place - SHOWN]);
            if (isnan(logged)) logged = 0.0;
            own->z[i] = logged;
            for (j = 0; j < N; j++) own->P[i * N + j] = own->P[j * N + i] = 0.0;
            own->P[i * (N + 1)] = set->first[i];
        }
        if (keep) continue;
        own->weight = 0.0;
        own->label = -1;
        own->born = self->t - 1e9;
        own->which = 0;
        for (i = F; i < N; i++)
            for (j = F; j < N; j++) own->P[i * N + j] = 0.0;
        for (i = 0; i < VARY; i++) {
            own->z[F + i] = set->prior_mean[i];
            own->P[(F + i) * (N + 1)] = set->prior_var[i];
        }
        for (i = 0; i < HELD; i++) {
            own->z[F + VARY + i] = set->held_mean[i];
            for (j = 0; j < HELD; j++) own->P[(F + VARY + i) * N + F + VARY + j] = set->held_cov[i * HELD + j];
        }
    }
}

/* Weights that sum up to one; the logarithm of what they summed up to. */
static double normalise(Tracker *self) {
    double most = -INFINITY, sum = 0.0;
    int n;
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive && self->all[n].weight > most) most = self->all[n].weight;
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive) sum += exp(self->all[n].weight - most);
    sum = most + log(sum);
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive) self->all[n].weight -= sum;
    return sum;
}

/* The place of a new hypothesis: a free one, or that of the least likely one whose grace is over. */
static int place_of_new(const Tracker *self) {
    int n, least = -1;
    for (n = 0; n < SLOTS; n++) {
        const Hypothesis *const own = self->all + n;
        if (!own->alive) return n;
        if (self->t - own->born > self->set.grace && (least < 0 || own->weight < self->all[least].weight)) least = n;
    }
    return least;
}

/* A change that may come now: a Gaussian as all hypotheses together, but nothing is known of what changes. */
static void give_birth(Tracker *self) {
    const Settings *const set = &self->set;
    Hypothesis born;
    double moved[N], share, chance;
    int i, j, n, place, changed;
    for (i = 0; i < N; i++) born.z[i] = 0.0;
    for (i = 0; i < N * N; i++) born.P[i] = 0.0;
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive && self->all[n].weight > -30.0) {
            share = exp(self->all[n].weight);
            for (i = 0; i < N; i++) born.z[i] += share * self->all[n].z[i];
        }
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive && self->all[n].weight > -30.0) {
            share = exp(self->all[n].weight);
            for (i = 0; i < N; i++) moved[i] = self->all[n].z[i] - born.z[i];
            for (i = 0; i < N; i++)
                for (j = 0; j < N; j++) born.P[i * N + j] += share * (self->all[n].P[i * N + j] + moved[i] * moved[j]);
        }
    changed = F + self->turn;
    for (i = 0; i < N; i++) born.P[changed * N + i] = born.P[i * N + changed] = 0.0;
    born.z[changed] = set->prior_mean[self->turn];
    born.P[changed * (N + 1)] = set->prior_var[self->turn];
    born.alive = 1;
    born.which = self->turn;
    born.label = self->rows;
    born.born = self->t;
    place = place_of_new(self);
    if (place < 0) return;
    self->turn = (self->turn + 1) % VARY;
    chance = 1.0 - exp(-set->jumps * (self->t - self->last_birth));
    self->last_birth = self->t;
    self->all[place].alive = 0;
    normalise(self);
    for (n = 0; n < SLOTS; n++)
        if (self->all[n].alive) self->all[n].weight += log(1.0 - chance);
    born.weight = log(chance);
    self->all[place] = born;
}

/* Where the mixture of a parameter has so much below it. */
static double quantile(const Tracker *self, int parameter, double wanted, double mean, double width, double from) {
    const int i = F + parameter;
    double low = mean, high = mean, at = from, centre[SLOTS], spread[SLOTS], share[SLOTS];
    int n, round, count = 0;
    for (n = 0; n < SLOTS; n++) {
        const Hypothesis *const own = self->all + n;
        if (!own->alive || own->weight < -12.0) continue;
        centre[count] = own->z[i];
        spread[count] = sqrt(own->P[i * (N + 1)]);
        share[count] = exp(own->weight);
        if (centre[count] - 6.0 * spread[count] < low) low = centre[count] - 6.0 * spread[count];
        if (centre[count] + 6.0 * spread[count] > high) high = centre[count] + 6.0 * spread[count];
        count++;
    }
    for (round = 0; round < 40; round++) {
        double below = 0.0, density = 0.0, next;
        if (!(at > low && at < high)) at = 0.5 * (low + high);
        for (n = 0; n < count; n++) {
            const double far = (at - centre[n]) / spread[n];
            if (far > 6.0) {
                below += share[n];
            } else if (far > -6.0) {
                below += 0.5 * share[n] * erfc(-0.7071067811865476 * far);
                density += share[n] / spread[n] * 0.3989422804014327 * exp(-0.5 * far * far);
            }
        }
        if (fabs(below - wanted) < 1e-5 || high - low < 1e-7 * width) break;
        if (below < wanted) low = at; else high = at;
        next = at + (wanted - below) / density;
        at = density > 0.0 && next > low && next < high ? next : 0.5 * (low + high);
    }
    return at;
}

static void estimate(const Tracker *self, Estimate *out) {
    const Settings *const set = &self->set;
    int i, n;
    for (i = 0; i < VARY; i++) {
        double mean = 0.0, square = 0.0, recent = 0.0, oldest = -1.0, left = 1.0;
        for (n = 0; n < SLOTS; n++) {
            const Hypothesis *const own = self->all + n;
            double share, age;
            if (!own->alive) continue;
            share = exp(own->weight);
            age = self->t - own->born;
            mean += share * own->z[F + i];
            if (own->which != i || own->label < 0) continue;
            if (age <= set->recent) recent += share;
            if (age <= set->grace && age > oldest) {
                oldest = age;
                left = own->P[(F + i) * (N + 1)] / set->prior_var[i];
            }
        }
        for (n = 0; n < SLOTS; n++)
            if (self->all[n].alive)
                square += exp(self->all[n].weight) * (self->all[n].P[(F + i) * (N + 1)] + squared(self->all[n].z[F + i] - mean));
        out->mean[i] = mean;
        out->deviation[i] = sqrt(square);
        out->recent[i] = recent;
        out->told[i] = left < 1.0 ? 1.0 - sqrt(left) : 0.0;
        {
            const double width = 1.96 * sqrt(square), middle = quantile(self, i, 0.5, mean, width, mean);
            out->middle[i] = bounded(set, i, middle);
            out->low[i] = bounded(set, i, quantile(self, i, 0.025, mean, width, middle - width));
            out->high[i] = bounded(set, i, quantile(self, i, 0.975, mean, width, middle + width));
        }
    }
}

/* Take a row: states as logged (SHOWN), and the controls over the step that ends here. */
static void update(Tracker *self, double t, const double *y, const double *u, Estimate *out) {
    const Settings *const set = &self->set;
    const double dt = t - self->t;
    int i, n;
    out->likelihood = 0.0;
    self->t = t;
    if (!self->begun) {
        self->rows = 0;
        self->turn = 0;
        self->last_birth = t;
        begin(self, y, u, 0);
        self->begun = 1;
    } else if (dt > set->longest_gap) {
        begin(self, y, u, 1);
        for (n = 0; n < SLOTS; n++)
            for (i = 0; i < VARY; i++) self->all[n].P[(F + i) * (N + 1)] += set->wander[i] * dt;
    } else {
        for (n = 0; n < SLOTS; n++)
            if (self->all[n].alive) {
                predict(set, self->all + n, u, dt);
                self->all[n].weight += correct(set, self->all + n, y);
            }
        out->likelihood = normalise(self);
    }
    self->rows++;
    estimate(self, out);
}

/* After the estimate: what may change before the next row. */
static void look_ahead(Tracker *self) {
    if (self->set.jumps > 0.0 && self->t - self->last_birth > self->set.spacing * 0.999) give_birth(self);
}
