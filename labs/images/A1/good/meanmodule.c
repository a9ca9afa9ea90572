/* The Python module `mean`: the mean of a sequence of numbers, computed in C. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *of(PyObject *module, PyObject *argument) {
    (void)module;
    PyObject *list = PySequence_Fast(argument, "of() takes a sequence of numbers");
    if (!list)
        return NULL;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    double sum = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        sum += PyFloat_AsDouble(PySequence_Fast_GET_ITEM(list, i));
    Py_DECREF(list);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(count ? sum / (double)count : 0);
}

static PyMethodDef functions[] = {
    {"of", of, METH_O, "Return the mean of a sequence of numbers."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "mean", .m_size = 0, .m_methods = functions};

PyMODINIT_FUNC PyInit_mean(void) {
    return PyModuleDef_Init(&definition);
}
