//! Which function answers a path: functions are tried in the order of their names, and the first full match wins.
//!
//! There is no ranking by specificity, and a path that matches with another method is no match.
use http::Method;

use super::template::{Template, TemplateError};
use crate::{
    functions::{AuthLevel, Function, Trigger},
    staged::full_route,
};

/// The HTTP functions in the order in which they are tried.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

/// One HTTP function as the front sees it.
#[derive(Debug)]
pub struct Route {
    pub function: String,
    pub auth: AuthLevel,
    methods: Vec<Method>,
    template: Template,
}

impl Routes {
    /// The routes of all enabled HTTP functions; `functions` are sorted by name.
    ///
    /// # Errors
    /// A template that cannot be parsed; the loader has refused those before.
    pub fn new(prefix: &str, functions: &[Function]) -> Result<Self, TemplateError> {
        let mut routes = Vec::new();
        for function in functions.iter().filter(|it| !it.disabled) {
            if let Trigger::Http(http) = &function.trigger {
                routes.push(Route {
                    function: function.name.clone(),
                    auth: http.auth,
                    methods: http.methods.iter().filter_map(|it| it.parse().ok()).collect(),
                    template: Template::parse(&full_route(prefix, &http.route))?,
                });
            }
        }
        Ok(Self(routes))
    }

    /// The function that answers `method` on `path`.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<&Route> {
        self.0
            .iter()
            .find(|route| (route.methods.is_empty() || route.methods.contains(method)) && route.template.matches(path))
    }
}
