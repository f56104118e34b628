/* FMI 2.0 for one vehicle model: model exchange and co-simulation. The model is in model.c, sizes and names of it in
 * sizes.h. Variables by value reference: states, their derivatives, inputs, parameters (constants).
 *
 * Functional Mock-up Interface for Model Exchange and Co-Simulation, version 2.0, https://fmi-standard.org
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sizes.h"

#if defined _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef enum { fmi2OK, fmi2Warning, fmi2Discard, fmi2Error, fmi2Fatal, fmi2Pending } fmi2Status;
typedef void (*Logger)(void *, const char *, fmi2Status, const char *, const char *, ...);
typedef struct {
    Logger logger;
    void *(*allocateMemory)(size_t, size_t);
    void (*freeMemory)(void *);
    void (*stepFinished)(void *, fmi2Status);
    void *componentEnvironment;
} fmi2CallbackFunctions;
typedef struct {
    int newDiscreteStatesNeeded, terminateSimulation, nominalsOfContinuousStatesChanged;
    int valuesOfContinuousStatesChanged, nextEventTimeDefined;
    double nextEventTime;
} fmi2EventInfo;
typedef unsigned int Reference;

/* One more than there are, so that no array is empty. */
typedef struct {
    double time, x[STATES + 1], u[CONTROLS + 1];
} Values;
typedef struct {
    Values now;
} Instance;

static const double parameters[PARAMETERS + 1] = PARAMETER_VALUES;
static const double start[STATES + 1] = {0.0};

EXPORT const char *fmi2GetTypesPlatform(void) { return "default"; }
EXPORT const char *fmi2GetVersion(void) { return "2.0"; }

EXPORT fmi2Status fmi2SetDebugLogging(void *c, int on, size_t n, const char *const categories[])
{
    (void)c; (void)on; (void)n; (void)categories;
    return fmi2OK;
}

EXPORT fmi2Status fmi2Reset(void *c)
{
    Instance *instance = c;
    memset(&instance->now, 0, sizeof instance->now);
    memcpy(instance->now.x, start, sizeof start);
    return fmi2OK;
}

EXPORT void *fmi2Instantiate(const char *name, int type, const char *guid, const char *resources,
                             const fmi2CallbackFunctions *functions, int visible, int logging)
{
    (void)type; (void)resources; (void)visible; (void)logging;
    if (!guid || strcmp(guid, GUID)) {
        if (functions && functions->logger)
            functions->logger(functions->componentEnvironment, name, fmi2Error, "error", "expected the GUID " GUID);
        return NULL;
    }
    Instance *instance = malloc(sizeof *instance);
    if (instance) fmi2Reset(instance);
    return instance;
}

EXPORT void fmi2FreeInstance(void *c) { free(c); }

EXPORT fmi2Status fmi2SetupExperiment(void *c, int tolerance_given, double tolerance, double begin, int end_given,
                                      double end)
{
    (void)tolerance_given; (void)tolerance; (void)end_given; (void)end;
    ((Instance *)c)->now.time = begin;
    return fmi2OK;
}

EXPORT fmi2Status fmi2EnterInitializationMode(void *c) { (void)c; return fmi2OK; }
EXPORT fmi2Status fmi2ExitInitializationMode(void *c) { (void)c; return fmi2OK; }
EXPORT fmi2Status fmi2Terminate(void *c) { (void)c; return fmi2OK; }

EXPORT fmi2Status fmi2GetReal(void *c, const Reference which[], size_t n, double values[])
{
    const Values *now = &((Instance *)c)->now;
    double rates[STATES + 1];
    int is_known = 0;
    for (size_t k = 0; k < n; k++) {
        Reference i = which[k];
        if (i < STATES) values[k] = now->x[i];
        else if (i < 2 * STATES) {
            if (!is_known) MODEL(derivative)(now->x, now->u, rates);
            is_known = 1;
            values[k] = rates[i - STATES];
        }
        else if (i < 2 * STATES + CONTROLS) values[k] = now->u[i - 2 * STATES];
        else if (i < 2 * STATES + CONTROLS + PARAMETERS) values[k] = parameters[i - 2 * STATES - CONTROLS];
        else return fmi2Error;
    }
    return fmi2OK;
}

EXPORT fmi2Status fmi2SetReal(void *c, const Reference which[], size_t n, const double values[])
{
    Values *now = &((Instance *)c)->now;
    for (size_t k = 0; k < n; k++) {
        Reference i = which[k];
        if (i < STATES) now->x[i] = values[k];
        else if (i >= 2 * STATES && i < 2 * STATES + CONTROLS) now->u[i - 2 * STATES] = values[k];
        else return fmi2Error;
    }
    return fmi2OK;
}

/* There are real variables only. */
#define NONE(name, type)                                                                                 \
    EXPORT fmi2Status name(void *c, const Reference which[], size_t n, type values[])                    \
    {                                                                                                    \
        (void)c; (void)which; (void)values;                                                              \
        return n ? fmi2Error : fmi2OK;                                                                   \
    }
NONE(fmi2GetInteger, int)
NONE(fmi2GetBoolean, int)
NONE(fmi2GetString, const char *)
NONE(fmi2SetInteger, const int)
NONE(fmi2SetBoolean, const int)
NONE(fmi2SetString, const char *const)

EXPORT fmi2Status fmi2GetFMUstate(void *c, void **kept)
{
    if (!*kept) *kept = malloc(sizeof(Values));
    if (!*kept) return fmi2Error;
    memcpy(*kept, &((Instance *)c)->now, sizeof(Values));
    return fmi2OK;
}

EXPORT fmi2Status fmi2SetFMUstate(void *c, void *kept)
{
    memcpy(&((Instance *)c)->now, kept, sizeof(Values));
    return fmi2OK;
}

EXPORT fmi2Status fmi2FreeFMUstate(void *c, void **kept)
{
    (void)c;
    free(*kept);
    *kept = NULL;
    return fmi2OK;
}

EXPORT fmi2Status fmi2SerializedFMUstateSize(void *c, void *kept, size_t *size)
{
    (void)c; (void)kept;
    *size = sizeof(Values);
    return fmi2OK;
}

EXPORT fmi2Status fmi2SerializeFMUstate(void *c, void *kept, char bytes[], size_t size)
{
    (void)c;
    if (size < sizeof(Values)) return fmi2Error;
    memcpy(bytes, kept, sizeof(Values));
    return fmi2OK;
}

EXPORT fmi2Status fmi2DeSerializeFMUstate(void *c, const char bytes[], size_t size, void **kept)
{
    (void)c;
    if (size < sizeof(Values)) return fmi2Error;
    if (!*kept) *kept = malloc(sizeof(Values));
    if (!*kept) return fmi2Error;
    memcpy(*kept, bytes, sizeof(Values));
    return fmi2OK;
}

/* Of the derivatives, and of the states as outputs, by states and inputs. */
EXPORT fmi2Status fmi2GetDirectionalDerivative(void *c, const Reference unknown[], size_t n, const Reference known[],
                                               size_t m, const double along[], double change[])
{
    const Values *now = &((Instance *)c)->now;
    double dfdx[STATES * STATES + 1], dfdu[STATES * CONTROLS + 1];
    MODEL(jacobian)(now->x, now->u, dfdx, dfdu);
    for (size_t k = 0; k < n; k++) {
        Reference i = unknown[k];
        if (i >= 2 * STATES) return fmi2Error;
        change[k] = 0.0;
        for (size_t l = 0; l < m; l++) {
            Reference j = known[l];
            int is_input = j >= 2 * STATES && j < 2 * STATES + CONTROLS;
            if (j >= STATES && !is_input) return fmi2Error;
            if (i < STATES) change[k] += i == j ? along[l] : 0.0;
            else if (is_input) change[k] += dfdu[(i - STATES) * CONTROLS + j - 2 * STATES] * along[l];
            else change[k] += dfdx[(i - STATES) * STATES + j] * along[l];
        }
    }
    return fmi2OK;
}

/* Model exchange. */

EXPORT fmi2Status fmi2EnterEventMode(void *c) { (void)c; return fmi2OK; }
EXPORT fmi2Status fmi2EnterContinuousTimeMode(void *c) { (void)c; return fmi2OK; }

EXPORT fmi2Status fmi2NewDiscreteStates(void *c, fmi2EventInfo *info)
{
    (void)c;
    memset(info, 0, sizeof *info);
    return fmi2OK;
}

EXPORT fmi2Status fmi2CompletedIntegratorStep(void *c, int keep, int *enter_event, int *terminate)
{
    (void)c; (void)keep;
    *enter_event = *terminate = 0;
    return fmi2OK;
}

EXPORT fmi2Status fmi2SetTime(void *c, double time)
{
    ((Instance *)c)->now.time = time;
    return fmi2OK;
}

EXPORT fmi2Status fmi2SetContinuousStates(void *c, const double x[], size_t n)
{
    if (n != STATES) return fmi2Error;
    memcpy(((Instance *)c)->now.x, x, n * sizeof *x);
    return fmi2OK;
}

EXPORT fmi2Status fmi2GetContinuousStates(void *c, double x[], size_t n)
{
    if (n != STATES) return fmi2Error;
    memcpy(x, ((Instance *)c)->now.x, n * sizeof *x);
    return fmi2OK;
}

EXPORT fmi2Status fmi2GetDerivatives(void *c, double rates[], size_t n)
{
    const Values *now = &((Instance *)c)->now;
    if (n != STATES) return fmi2Error;
    MODEL(derivative)(now->x, now->u, rates);
    return fmi2OK;
}

EXPORT fmi2Status fmi2GetEventIndicators(void *c, double indicators[], size_t n)
{
    (void)c; (void)indicators;
    return n ? fmi2Error : fmi2OK;
}

EXPORT fmi2Status fmi2GetNominalsOfContinuousStates(void *c, double nominal[], size_t n)
{
    (void)c;
    for (size_t i = 0; i < n; i++) nominal[i] = 1.0;
    return fmi2OK;
}

/* Co-simulation: equal steps of the model's own method, none longer than the one it was identified with. */

EXPORT fmi2Status fmi2DoStep(void *c, double at, double length, int no_return)
{
    Values *now = &((Instance *)c)->now;
    (void)no_return;
    if (!(length >= 0.0)) return fmi2Error;
    long count = (long)ceil(length / LONGEST_STEP - 1e-6);
    for (long k = 0; k < count; k++) MODEL(step)(now->x, now->u, length / count, now->x);
    now->time = at + length;
    for (int i = 0; i < STATES; i++)
        if (isnan(now->x[i])) return fmi2Error;
    return fmi2OK;
}

EXPORT fmi2Status fmi2CancelStep(void *c) { (void)c; return fmi2Error; }

EXPORT fmi2Status fmi2SetRealInputDerivatives(void *c, const Reference which[], size_t n, const int order[],
                                              const double values[])
{
    (void)c; (void)which; (void)order; (void)values;
    return n ? fmi2Error : fmi2OK;
}

EXPORT fmi2Status fmi2GetRealOutputDerivatives(void *c, const Reference which[], size_t n, const int order[],
                                               double values[])
{
    (void)c; (void)which; (void)order; (void)values;
    return n ? fmi2Error : fmi2OK;
}

/* Steps end before they return: there is no status to ask for. */
EXPORT fmi2Status fmi2GetStatus(void *c, int kind, fmi2Status *value)
{
    (void)c; (void)kind; (void)value;
    return fmi2Discard;
}

#define NO_STATUS(name, type)                                                                            \
    EXPORT fmi2Status name(void *c, int kind, type *value)                                               \
    {                                                                                                    \
        (void)c; (void)kind; (void)value;                                                                \
        return fmi2Discard;                                                                              \
    }
NO_STATUS(fmi2GetRealStatus, double)
NO_STATUS(fmi2GetIntegerStatus, int)
NO_STATUS(fmi2GetBooleanStatus, int)
NO_STATUS(fmi2GetStringStatus, const char *)
